package formatter

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
)

// str is an operator for a string of which "" means there is none.
func str(get func(*Context) string) command {
	return plain(func(dst []byte, c *Context) ([]byte, kind) { return appendString(dst, get(c)) })
}

func appendString(dst []byte, s string) ([]byte, kind) {
	if s == "" {
		return dst, none
	}
	return append(dst, s...), text
}

// underscored is str with spaces made underscores, so that a log line's
// columns stay.
func underscored(get func(*Context) string) command {
	return plain(func(dst []byte, c *Context) ([]byte, kind) { return appendUnderscored(dst, get(c), " ") })
}

// appendUnderscored appends s with each byte of chars made an underscore.
func appendUnderscored(dst []byte, s, chars string) ([]byte, kind) {
	start := len(dst)
	dst, k := appendString(dst, s)
	for i := start; i < len(dst); i++ {
		if strings.IndexByte(chars, dst[i]) >= 0 {
			dst[i] = '_'
		}
	}
	return dst, k
}

// number is an operator for an unsigned number, which is always there.
func number(get func(*Context) uint64) command {
	return plain(func(dst []byte, c *Context) ([]byte, kind) {
		return strconv.AppendUint(dst, get(c), 10), literal
	})
}

func zero(*Context) uint64 { return 0 }

// missing is an operator that never has a value.
func missing(dst []byte, _ *Context) ([]byte, kind) { return dst, none }

// constant is an operator whose value is known when it is compiled.
func constant(s string) operator {
	return func(dst []byte, _ *Context) ([]byte, kind) { return append(dst, s...), text }
}

func connectionID(c *Context) uint64 {
	if c.Info.Conn == nil {
		return 0
	}
	return c.Info.Conn.ID()
}

func appendFlags(dst []byte, c *Context) ([]byte, kind) { return c.Info.AppendFlags(dst, false), text }

func appendFlagsLong(dst []byte, c *Context) ([]byte, kind) {
	return c.Info.AppendFlags(dst, true), text
}

func appendCustomFlags(dst []byte, c *Context) ([]byte, kind) {
	return append(dst, c.Info.CustomFlags...), text
}

func appendLocalReplyBody(dst []byte, c *Context) ([]byte, kind) {
	return append(dst, c.LocalReplyBody...), text
}

func appendAccessLogType(dst []byte, c *Context) ([]byte, kind) {
	return append(dst, c.Info.LogType.String()...), text
}

// compileResponseCodeDetails makes white space underscores unless told not to.
func compileResponseCodeDetails(param string) (operator, error) {
	if param == "ALLOW_WHITESPACES" {
		return func(dst []byte, c *Context) ([]byte, kind) {
			return appendDetails(dst, c, "")
		}, nil
	}
	return func(dst []byte, c *Context) ([]byte, kind) {
		return appendDetails(dst, c, " \t\n\v\f\r")
	}, nil
}

// appendDetails appends the response-code details, each byte of chars made an
// underscore.
func appendDetails(dst []byte, c *Context, chars string) ([]byte, kind) {
	if c.Info.NoDetails {
		return dst, text
	}
	return appendUnderscored(dst, c.Info.ResponseCodeDetails, chars)
}

func compileHostname(string) (operator, error) {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return missing, nil
	}
	return constant(name), nil
}

// compileEnvironment reads the variable once, as Envoy does.
func compileEnvironment(name string) (operator, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		value = "-"
	}
	return constant(value), nil
}

// appendUniqueID appends a random UUID (RFC 9562 version 4).
func appendUniqueID(dst []byte, _ *Context) ([]byte, kind) {
	var id [16]byte
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			dst = append(dst, '-')
		}
		start := [...]int{0, 4, 6, 8, 10}[i]
		dst = hex.AppendEncode(dst, id[start:end])
	}
	return dst, text
}

// empty is an operator whose value is always "".
func empty(dst []byte, _ *Context) ([]byte, kind) { return dst, text }
