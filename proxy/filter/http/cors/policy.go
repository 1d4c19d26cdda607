package cors

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
)

// policy is a CorsPolicy compiled.
type policy struct {
	origins         []matcher.String
	methods         string
	headers         string
	expose          string
	maxAge          string
	credentials     *bool // nil: a less specific level says
	privateNetwork  *bool
	forwardOthers   *bool
	enabled, shadow fraction.Percent
}

// policies are those of a request's route, the most specific first.
type policies struct {
	list [http.RouteLevels]*policy
	n    int
}

// policiesOf is none for routes that do not forward: Envoy leaves direct
// responses and redirects alone.
func policiesOf(found http.Route, name string) (ps policies) {
	r, ok := found.(*route.Route)
	if !ok || r.Forward() == nil {
		return ps
	}
	levels := r.FilterConfigs(name)
	for i := len(levels) - 1; i >= 0; i-- {
		if c, ok := levels[i].(*policy); ok {
			ps.list[ps.n] = c
			ps.n++
		}
	}
	return ps
}

func (ps *policies) all() []*policy { return ps.list[:ps.n] }

// enforced and shadowed are decided by the most specific policy alone.
func (ps *policies) enforced() bool { return ps.n > 0 && ps.list[0].enabled.Picks(rand.Uint64()) }
func (ps *policies) shadowed() bool { return ps.n > 0 && ps.list[0].shadow.Picks(rand.Uint64()) }

func (ps *policies) allows(origin string) bool {
	for _, p := range ps.all() {
		if len(p.origins) == 0 {
			continue
		}
		for i := range p.origins {
			if m := &p.origins[i]; m.Match("*") || m.Match(origin) {
				return true
			}
		}
		return false
	}
	return false
}

// text is the first that is not empty.
func (ps *policies) text(of func(*policy) string) string {
	for _, p := range ps.all() {
		if s := of(p); s != "" {
			return s
		}
	}
	return ""
}

// flag is the first that is set, otherwise when none is.
func (ps *policies) flag(of func(*policy) *bool, otherwise bool) bool {
	for _, p := range ps.all() {
		if b := of(p); b != nil {
			return *b
		}
	}
	return otherwise
}

func allowMethods(p *policy) string       { return p.methods }
func allowHeaders(p *policy) string       { return p.headers }
func exposeHeaders(p *policy) string      { return p.expose }
func maxAge(p *policy) string             { return p.maxAge }
func allowCredentials(p *policy) *bool    { return p.credentials }
func allowPrivateNetwork(p *policy) *bool { return p.privateNetwork }
func forwardOthers(p *policy) *bool       { return p.forwardOthers }
