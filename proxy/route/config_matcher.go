package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Matcher is a RouteMatch on its own, for filters whose rules have one. It is
// immutable.
type Matcher struct{ entry Entry }

// CompileMatcher compiles a RouteMatch.
func CompileMatcher(p field.Path, c *routev3.RouteMatch, rt Runtime) (*Matcher, error) {
	k := &compiler{Options: Options{Runtime: rt}}
	m := &Matcher{}
	return m, k.match(p, c, &m.entry)
}

// Match tells whether a request is matched; random decides where a share of
// requests is.
func (m *Matcher) Match(h *http.HeaderMap, info *streaminfo.Info, random uint64) bool {
	rq := request{headers: h, info: info, random: random, path: pathOnly(h.Get(http.Path))}
	rq.connect, rq.hasPath = connectAndPath(h)
	return m.entry.matches(&rq)
}
