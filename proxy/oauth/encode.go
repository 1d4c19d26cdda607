package oauth

import (
	"fmt"
	"strings"
)

// formReserved are encoded in the bodies of token requests, besides what is
// not printable.
const formReserved = ":/=&?+"

// FormEncode percent-encodes a value in a token request's body, as Envoy does:
// no more than what would end the value.
func FormEncode(s string) string {
	return percentEncode(s, func(c byte) bool { return c < ' ' || c >= '~' || strings.IndexByte(formReserved, c) >= 0 })
}

// QueryEncode percent-encodes all but letters, digits and "-_.": as Envoy does,
// also "~", which RFC 3986 section 2.3 would leave.
func QueryEncode(s string) string {
	return percentEncode(s, func(c byte) bool {
		return !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-_.", c) >= 0)
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

// HostAndPath takes the URI of a service apart, as far as requests to it need
// it. It may do without a scheme.
func HostAndPath(uri string) (host, path string) {
	if _, after, found := strings.Cut(uri, "://"); found {
		uri = after
	}
	if i := strings.IndexByte(uri, '/'); i >= 0 {
		return uri[:i], uri[i:]
	}
	return uri, "/"
}
