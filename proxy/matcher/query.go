package matcher

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
)

// QueryParameter is a compiled QueryParameterMatcher.
type QueryParameter struct {
	name      string
	anyValue  bool // present_match
	str       String
	wantFound bool
}

// Match tells whether path, with its query, satisfies the matcher. Only the
// first parameter of the name counts; nothing is percent-decoded, as in Envoy.
func (m *QueryParameter) Match(path string) bool {
	value, found := QueryValue(path, m.name)
	if m.anyValue {
		return found == m.wantFound
	}
	return found && m.str.Match(value)
}

// QueryValue is the value of the first query parameter with that name in path.
func QueryValue(path, name string) (value string, found bool) {
	_, query, _ := strings.Cut(path, "?")
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if key, value, _ := strings.Cut(pair, "="); key == name && pair != "" {
			return value, true
		}
	}
	return "", false
}

// Cookie is a compiled CookieMatcher.
type Cookie struct {
	name   string
	str    String
	invert bool
}

// Match tells whether the request's cookies satisfy the matcher.
func (m *Cookie) Match(h *http.HeaderMap) bool {
	value, found := CookieValue(h, m.name)
	return (found && m.str.Match(value)) != m.invert
}

// CookieValue is the value of the first cookie with that name, without
// surrounding quotes.
func CookieValue(h *http.HeaderMap, name string) (value string, found bool) {
	if !h.Has(http.Cookie) {
		return "", false
	}
	for l := range h.All {
		if l.ID != http.Cookie {
			continue
		}
		for rest := l.Value; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			key, value, ok := strings.Cut(pair, "=")
			if !ok || strings.TrimLeft(key, " \t") != name {
				continue
			}
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			return value, true
		}
	}
	return "", false
}
