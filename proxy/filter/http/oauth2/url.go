package oauth2

import (
	"fmt"
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

// hostAndPath takes the URI of a service apart, as far as requests to it need
// it. It may do without a scheme.
func hostAndPath(uri string) (host, path string) {
	if _, after, found := strings.Cut(uri, "://"); found {
		uri = after
	}
	if i := strings.IndexByte(uri, '/'); i >= 0 {
		return uri[:i], uri[i:]
	}
	return uri, "/"
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
	if _, after, found := strings.Cut(s, "@"); found {
		s = after
	}
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

// hostOf is an authority without port and brackets.
func hostOf(authority string) string {
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

// formReserved are encoded in the bodies of token requests, besides what is
// not printable.
const formReserved = ":/=&?+"

func formEncode(s string) string {
	return percentEncode(s, func(c byte) bool { return c < ' ' || c >= '~' || strings.IndexByte(formReserved, c) >= 0 })
}

// queryEncode encodes all but unreserved characters (RFC 3986 section 2.3).
func queryEncode(s string) string {
	return percentEncode(s, func(c byte) bool {
		return !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~", c) >= 0)
	})
}

func percentEncode(s string, reserved func(byte) bool) string {
	var b strings.Builder
	for i := range len(s) {
		if reserved(s[i]) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
