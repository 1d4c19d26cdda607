package matcher

import (
	"regexp"
	"strings"
)

type stringKind uint8

const (
	exact stringKind = iota
	prefix
	suffix
	contains
	regex
)

// String is a compiled StringMatcher. The zero value matches the empty string.
type String struct {
	kind  stringKind
	fold  bool // ignore ASCII case; value is lower case
	value string
	re    *regexp.Regexp
}

// Match tells whether s is matched.
func (m *String) Match(s string) bool {
	switch m.kind {
	case exact:
		if m.fold {
			return equalFold(s, m.value)
		}
		return s == m.value
	case prefix:
		if m.fold {
			return HasPrefixFold(s, m.value)
		}
		return strings.HasPrefix(s, m.value)
	case suffix:
		if m.fold {
			return len(s) >= len(m.value) && equalFold(s[len(s)-len(m.value):], m.value)
		}
		return strings.HasSuffix(s, m.value)
	case contains:
		if m.fold {
			return containsFold(s, m.value)
		}
		return strings.Contains(s, m.value)
	default:
		return m.re.MatchString(s)
	}
}

// HasPrefixFold tells whether s starts with lower, which is in lower case,
// whatever the case of ASCII letters in s.
func HasPrefixFold(s, lower string) bool {
	return len(s) >= len(lower) && equalFold(s[:len(lower)], lower)
}

func equalFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		if Lower(s[i]) != lower[i] {
			return false
		}
	}
	return true
}

func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		if equalFold(s[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}

// Lower is the lower case of an ASCII byte.
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// LowerASCII is s with its ASCII letters in lower case.
func LowerASCII(s string) string {
	for i := range len(s) {
		if Lower(s[i]) != s[i] {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = Lower(b[i])
			}
			return string(b)
		}
	}
	return s
}
