package matcher

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/http"
)

type headerKind uint8

const (
	headerPresent headerKind = iota
	headerString
	headerRange
)

// Header is a compiled HeaderMatcher.
type Header struct {
	name           string // lower case
	kind           headerKind
	invert         bool
	missingAsEmpty bool
	present        bool // what headerPresent expects
	str            String
	start, end     int64 // headerRange: [start, end)
}

// Name is the header that is looked at, in lower case.
func (m *Header) Name() string { return m.name }

// Match tells whether h satisfies the matcher. All lines of the name count,
// joined by ",". A missing header satisfies nothing but a matcher of absence,
// inverted or not, unless it is to be treated as empty.
func (m *Header) Match(h *http.HeaderMap) bool {
	value, found := h.Joined(m.name)
	if m.kind == headerPresent {
		return (found || m.missingAsEmpty) == m.present != m.invert
	}
	if !found && !m.missingAsEmpty {
		return false
	}
	return m.matchValue(value) != m.invert
}

func (m *Header) matchValue(v string) bool {
	if m.kind == headerString {
		return m.str.Match(v)
	}
	n, err := strconv.ParseInt(v, 10, 64)
	return err == nil && m.start <= n && n < m.end
}

// MatchHeaders tells whether h satisfies every matcher.
func MatchHeaders(ms []Header, h *http.HeaderMap) bool {
	for i := range ms {
		if !ms[i].Match(h) {
			return false
		}
	}
	return true
}
