package oauth2

import (
	"net"
	"strings"
)

// absolute is an absolute URL of HTTP taken apart as Envoy does it.
type absolute struct{ scheme, authority, path string }

// parseURL takes an absolute URL apart. Where the path is missing it is "/".
func parseURL(s string) (u absolute, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return absolute{}, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	u = absolute{scheme, rest[:end], rest[end:]}
	if u.path == "" {
		u.path = "/"
	}
	return u, isAuthority(u.authority) && printable(s)
}

func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

// isAuthority tells whether s is a host, with or without a port.
func isAuthority(s string) bool {
	host := hostOf(s)
	for i := range len(host) {
		switch c := host[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', strings.IndexByte(".-_:", c) >= 0:
		default:
			return false
		}
	}
	return host != ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// hostOf is an authority without user, port and brackets.
func hostOf(authority string) string {
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if host, _, err := net.SplitHostPort(authority); err == nil {
		return host
	}
	return strings.Trim(authority, "[]")
}

// mayRedirect tells whether users may be sent to a URL.
func (s *settings) mayRedirect(to string) bool {
	if len(s.domains) == 0 {
		return true
	}
	u, ok := parseURL(to)
	if !ok {
		return false
	}
	host := hostOf(u.authority)
	for _, d := range s.domains {
		if suffix, wild := strings.CutPrefix(d, "*"); wild && strings.HasPrefix(suffix, ".") {
			if len(host) > len(suffix) && strings.EqualFold(host[len(host)-len(suffix):], suffix) {
				return true
			}
		} else if strings.EqualFold(host, d) {
			return true
		}
	}
	return false
}
