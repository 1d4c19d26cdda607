package jwtauthn

// requirement is a JwtRequirement compiled: it decides on a request and calls
// done once, at once or later.
type requirement interface {
	check(c *check, done func(status))
}

// tokensOf requires the tokens of some providers to be good.
type tokensOf struct {
	providers    []*provider
	places       []place // where their tokens are looked for
	byIssuer     bool    // each token is checked by the provider of its issuer
	audiences    []string
	allowMissing bool
	allowFailed  bool
	unverified   string // header that tells of a token that is not good; "" none
}

// requireTokens requires the tokens of these providers, as the options say.
func requireTokens(providers []*provider, options tokensOf) *tokensOf {
	options.providers, options.places = providers, placesOf(providers)
	return &options
}

// check implements requirement. All tokens found must be good.
func (r *tokensOf) check(c *check, done func(status)) {
	for _, p := range r.providers {
		p.sanitize(c.cb.RequestHeaders())
	}
	tokens := extract(c.cb.RequestHeaders(), r.places)
	if len(tokens) == 0 {
		c.failed(nil, missing)
		if r.allowMissing || r.allowFailed {
			done(ok)
		} else {
			done(missing)
		}
		return
	}
	r.next(c, tokens, done)
}

func (r *tokensOf) next(c *check, tokens []found, done func(status)) {
	c.token(r, tokens[0], func(s status) {
		if s != ok && r.unverified != "" {
			c.cb.RequestHeaders().SetName(r.unverified, "false")
		}
		switch {
		case s != ok && !r.allowFailed:
			done(s)
		case len(tokens) > 1:
			r.next(c, tokens[1:], done)
		default:
			done(ok)
		}
	})
}

// satisfied is an empty requirement among others.
type satisfied struct{}

// check implements requirement.
func (satisfied) check(_ *check, done func(status)) { done(ok) }

// anyOf requires one of several.
type anyOf []requirement

// check implements requirement. They are tried in turn.
func (r anyOf) check(c *check, done func(status)) { r.from(c, 0, ok, done) }

func (r anyOf) from(c *check, i int, worst status, done func(status)) {
	r[i].check(c, func(s status) {
		// A token that is wrong tells more than one that is not there.
		if worst == ok || s != missing && s != unknownIssuer {
			worst = s
		}
		switch {
		case s == ok:
			done(ok)
		case i+1 < len(r):
			r.from(c, i+1, worst, done)
		default:
			done(worst)
		}
	})
}

// allOf requires all of several.
type allOf []requirement

// check implements requirement.
func (r allOf) check(c *check, done func(status)) { r.from(c, 0, done) }

func (r allOf) from(c *check, i int, done func(status)) {
	r[i].check(c, func(s status) {
		if s != ok || i+1 == len(r) {
			done(s)
			return
		}
		r.from(c, i+1, done)
	})
}
