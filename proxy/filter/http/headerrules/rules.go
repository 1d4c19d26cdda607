package headerrules

import (
	"strings"

	"github.com/weirproxy/weir/proxy/matcher"
)

// Rules are compiled HeaderMutationRules; nil rules allow everything but the
// removal of pseudo-headers and host.
type Rules struct {
	routing, envoy, noSystem, none, isError bool
	allow, disallow                         *matcher.String
}

// Verdict is what becomes of a change.
type Verdict uint8

const (
	Allow  Verdict = iota
	Ignore         // the change is left out
	Fail           // it makes the whole answer an error
)

// Set decides on setting or adding to a header (lower-case name).
func (r *Rules) Set(name string) Verdict { return r.verdict(r == nil || r.maySet(name)) }

// Remove decides on removing a header: pseudo-headers and host never go.
func (r *Rules) Remove(name string) Verdict {
	return r.verdict(name != "" && name[0] != ':' && name != "host" && (r == nil || r.maySet(name)))
}

func (r *Rules) verdict(ok bool) Verdict {
	switch {
	case ok:
		return Allow
	case r != nil && r.isError:
		return Fail
	}
	return Ignore
}

func (r *Rules) maySet(name string) bool {
	switch {
	case r.none:
		return false
	case r.disallow != nil && r.disallow.Match(name):
		return false
	case r.allow != nil && r.allow.Match(name):
		return true
	case name == "host", name == ":authority", name == ":scheme", name == ":method":
		return r.routing && !r.noSystem
	case strings.HasPrefix(name, ":"):
		return !r.noSystem
	case strings.HasPrefix(name, "x-envoy-"):
		return r.envoy
	}
	return true
}
