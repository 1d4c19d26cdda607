package stats

import (
	"regexp"
	"time"

	"github.com/dlclark/regexp2"
)

// pattern finds a tag in a name: the positions of the match and of its groups,
// as [regexp.Regexp.FindStringSubmatchIndex] gives them.
type pattern interface {
	FindStringSubmatchIndex(name string) []int
}

// maxMatch bounds one match of a pattern that backtracks.
const maxMatch = 10 * time.Millisecond

// compilePattern compiles a stats_tags regex. Envoy reads those alone by
// ECMAScript's rules, so there are some that RE2 does not have, with
// look-aheads.
func compilePattern(expr string) (pattern, error) {
	simple, err := regexp.Compile(expr)
	if err == nil {
		return simple, nil
	}
	re, err2 := regexp2.Compile(expr, regexp2.ECMAScript)
	if err2 != nil {
		return nil, err
	}
	re.MatchTimeout = maxMatch
	return ecma{re}, nil
}

type ecma struct{ *regexp2.Regexp }

// FindStringSubmatchIndex implements pattern. Statistics' names are ASCII but
// for what Sanitize let through; a name that is not is not looked at, since
// regexp2 counts runes.
func (e ecma) FindStringSubmatchIndex(name string) []int {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return nil
		}
	}
	m, err := e.FindStringMatch(name)
	if err != nil || m == nil {
		return nil
	}
	var out []int
	for _, g := range m.Groups() {
		if len(g.Captures) == 0 {
			out = append(out, -1, -1)
		} else {
			out = append(out, g.Index, g.Index+g.Length)
		}
	}
	return out
}
