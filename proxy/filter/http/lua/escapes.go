package lua

import (
	"fmt"
	"strconv"
	"strings"
)

// decimalEscapes writes the escapes \xHH of a script's strings as \DDD, which
// gopher-lua can read, too.
func decimalEscapes(src string) string {
	if !strings.Contains(src, `\x`) {
		return src
	}
	var b strings.Builder
	for src != "" {
		n := tokenLength(src)
		token := src[:n]
		if token[0] == '"' || token[0] == '\'' {
			token = withoutHex(token)
		}
		b.WriteString(token)
		src = src[n:]
	}
	return b.String()
}

// tokenLength is the length of the comment or string that src begins with; of
// anything else it is 1.
func tokenLength(src string) int {
	switch {
	case src[0] == '"' || src[0] == '\'':
		for i := 1; i < len(src); i++ {
			switch src[i] {
			case '\\':
				i++
			case src[0], '\n':
				return i + 1
			}
		}
		return len(src)
	case strings.HasPrefix(src, "--"):
		if n := longLength(src[2:]); n > 0 {
			return 2 + n
		}
		if n := strings.IndexByte(src, '\n'); n >= 0 {
			return n
		}
		return len(src)
	}
	return max(1, longLength(src))
}

// longLength is the length of the long bracket, such as [==[text]==], that src
// begins with, or 0.
func longLength(src string) int {
	if !strings.HasPrefix(src, "[") {
		return 0
	}
	level := len(src) - 1 - len(strings.TrimLeft(src[1:], "="))
	if !strings.HasPrefix(src[1+level:], "[") {
		return 0
	}
	end := "]" + src[1:1+level] + "]"
	if n := strings.Index(src, end); n >= 0 {
		return n + len(end)
	}
	return len(src)
}

// withoutHex is a string's text with its hexadecimal escapes written in decimal.
func withoutHex(token string) string {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '\\' || i+1 == len(token) {
			b.WriteByte(token[i])
			continue
		}
		if i+4 <= len(token) && token[i+1] == 'x' {
			if c, err := strconv.ParseUint(token[i+2:i+4], 16, 8); err == nil {
				fmt.Fprintf(&b, `\%03d`, c)
				i += 3
				continue
			}
		}
		b.WriteString(token[i : i+2])
		i++
	}
	return b.String()
}
