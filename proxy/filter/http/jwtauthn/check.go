package jwtauthn

import (
	"github.com/weirproxy/weir/proxy/http"
)

// check is one request's way through a requirement.
type check struct {
	*worker
	cb   http.FilterCallbacks
	wait *keyWait // what it waits for
	dead bool
}

// cancel gives the check up.
func (c *check) cancel() {
	c.dead = true
	if c.wait != nil {
		c.wait.done = nil
		c.wait = nil
	}
}

// token checks one token.
func (c *check) token(r *tokensOf, f found, done func(status)) {
	var own *provider // whose requirement it is; nil: the token's issuer tells
	var cache *tokenCache
	known := false
	if !r.byIssuer {
		own = f.from[0]
		cache = c.verified[own]
		if known = cache != nil && cache.has(f.text); known {
			c.stats.CacheHit.Inc()
		} else {
			c.stats.CacheMiss.Inc()
		}
	}
	t, s := parse(f.text)
	if s != ok {
		done(c.failed(own, s))
		return
	}
	p, s := choose(r, f, t)
	if s != ok {
		done(c.failed(own, s))
		return
	}
	if s := p.accepts(t, r.audiences, c.cb.Loop().Time()); s != ok {
		done(c.failed(p, s))
		return
	}
	finish := func(s status) {
		if s == ok {
			p.take(t, f.at, c.cb)
		}
		done(c.failed(p, s))
	}
	if known {
		finish(ok)
		return
	}
	verify := func(keys *keySet, s status) {
		c.wait = nil
		if c.dead {
			return
		}
		if s == ok {
			s = keys.verify(t)
		}
		if s == ok && cache != nil {
			cache.add(t.text)
		}
		finish(s)
	}
	if p.local != nil {
		verify(p.local, ok)
		return
	}
	if w := c.keys[p].get(verify); w != nil && w.done != nil && !c.dead {
		c.wait = w
	}
}

// choose finds the provider that a token is checked by.
func choose(r *tokensOf, f found, t *token) (*provider, status) {
	for _, p := range f.from {
		if p.issuer == "" && !r.byIssuer || p.issuer == t.iss && p.issuer != "" {
			return p, ok
		}
	}
	if r.byIssuer {
		for _, p := range f.from {
			if p.issuer == "" {
				return p, ok
			}
		}
	}
	return nil, unknownIssuer
}

// failed notes why a token is refused, or missing, where the provider says so:
// while none is known, the filter's only one.
func (c *check) failed(p *provider, s status) status {
	if p == nil {
		p = c.only
	}
	if s != ok && p != nil && p.failureIn != "" {
		c.cb.StreamInfo().SetMetadata(metadataNamespace, p.failureIn, map[string]any{"code": codes[s], "message": string(s)})
	}
	return s
}

// tokenCache remembers tokens whose signature was good. When it is full some
// token goes.
type tokenCache struct {
	size, longest int
	seen          map[string]struct{}
}

func (c *tokenCache) has(t string) bool { _, there := c.seen[t]; return there }

func (c *tokenCache) add(t string) {
	if len(t) > c.longest {
		return
	}
	if len(c.seen) >= c.size {
		for old := range c.seen {
			delete(c.seen, old)
			break
		}
	}
	c.seen[t] = struct{}{}
}
