package http

import (
	"fmt"
	"strings"
)

// Unencodable tells what keeps the lines from being sent, as Envoy's codecs
// word it; nil when nothing does. Names that decoders add are taken to be
// valid.
func (h *HeaderMap) Unencodable() error {
	for l := range h.All {
		switch {
		case h.odd && l.ID == Unknown && !IsToken(strings.TrimPrefix(l.Name, ":")):
			return fmt.Errorf("invalid header name: %s", l.Name)
		case !ValidValue(l.Value):
			return fmt.Errorf("invalid header value for: %s", l.Name)
		}
	}
	return nil
}

// Odd tells whether a name was added that can't be sent, or a value that
// MarkOdd was told of.
func (h *HeaderMap) Odd() bool { return h.odd }

// MarkOdd tells that a value was added that can't be sent.
func (h *HeaderMap) MarkOdd() { h.odd = true }

// ValidValue tells whether s can be a field's value: no control characters but
// tabs.
func ValidValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// IsToken tells whether s can be a field's name (RFC 9110 section 5.6.2).
func IsToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}
