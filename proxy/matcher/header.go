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
	id             http.HeaderID
	kind           headerKind
	invert         bool
	missingAsEmpty bool
	present        bool // what headerPresent expects
	str            String
	start, end     int64 // headerRange: [start, end)
}

// Name is the header that is looked at, in lower case.
func (m *Header) Name() string { return m.name }

// Match tells whether h satisfies the matcher. Of a header with several lines
// one must match; the lines of a header that the proxy knows are taken
// together, joined by ",", as Envoy has them. A missing header satisfies
// nothing but a matcher of absence, inverted or not, unless it is to be
// treated as empty.
func (m *Header) Match(h *http.HeaderMap) bool {
	found, matched := false, false
	switch {
	case m.kind == headerPresent:
		_, found = h.GetName(m.name)
		return (found || m.missingAsEmpty) == m.present != m.invert
	case Inline(m.id):
		var value string
		value, found = h.Joined(m.name)
		matched = found && m.matchValue(value)
	default:
		for l := range h.All {
			if l.ID == m.id && l.Name == m.name {
				found = true
				if matched = m.matchValue(l.Value); matched {
					break
				}
			}
		}
	}
	if !found {
		if !m.missingAsEmpty {
			return false
		}
		matched = m.matchValue("")
	}
	return matched != m.invert
}

// Inline tells whether a header is one whose lines Envoy keeps as one, joined
// by ",": those that the proxy itself knows, but cookies.
func Inline(id http.HeaderID) bool {
	return id != http.Unknown && id != http.Cookie && id != http.SetCookie
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
