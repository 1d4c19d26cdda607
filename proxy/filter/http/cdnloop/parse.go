package cdnloop

import "strings"

// count is how often id is in a CDN-Loop header; ok is false when that is not
// a list as of RFC 8586 section 2. Items may be empty (RFC 9110 section 5.6.1).
func count(list, id string) (n int, ok bool) {
	rest := trimSpace(list)
	for rest != "" {
		if rest[0] == ',' {
			rest = trimSpace(rest[1:])
			continue
		}
		end := cdnID(rest)
		if end == 0 {
			return 0, false
		}
		if rest[:end] == id {
			n++
		}
		if rest, ok = parameters(trimSpace(rest[end:])); !ok || rest != "" && rest[0] != ',' {
			return 0, false
		}
	}
	return n, true
}

func trimSpace(s string) string { return strings.TrimLeft(s, " \t") }

// cdnID is the length of the cdn-id that s begins with: a host with or without
// a port, or a pseudonym; 0 when there is none.
func cdnID(s string) int {
	n := tokenLength(s)
	if strings.HasPrefix(s, "[") {
		n = 1
		for n < len(s) && (isHex(s[n]) || s[n] == ':' || s[n] == '.') {
			n++
		}
		if n == 1 || n == len(s) || s[n] != ']' {
			return 0
		}
		n++
	}
	if n > 0 && n < len(s) && s[n] == ':' {
		for n++; n < len(s) && s[n] >= '0' && s[n] <= '9'; n++ {
		}
	}
	return n
}

// parameters skips *( OWS ";" OWS token "=" value ) and the white space behind.
func parameters(s string) (rest string, ok bool) {
	for s != "" && s[0] == ';' {
		s = trimSpace(s[1:])
		n := tokenLength(s)
		if n == 0 || n == len(s) || s[n] != '=' {
			return "", false
		}
		s = s[n+1:]
		if n = tokenLength(s); n == 0 {
			n = quotedLength(s)
		}
		if n == 0 {
			return "", false
		}
		s = trimSpace(s[n:])
	}
	return s, true
}

// quotedLength is the length of the quoted-string that s begins with, 0 when
// there is none.
func quotedLength(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// tokenLength is the length of the token (RFC 9110 section 5.6.2) that s begins
// with.
func tokenLength(s string) int {
	i := 0
	for i < len(s) && isTokenChar(s[i]) {
		i++
	}
	return i
}

func isTokenChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
