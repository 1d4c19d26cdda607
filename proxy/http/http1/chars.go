package http1

import (
	"encoding/binary"
	"math/bits"
)

// tokenLower maps token characters (RFC 9110 section 5.6.2) to lower case and
// all others to 0.
var tokenLower = func() (t [256]byte) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz" {
		t[c] = byte(c)
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = byte(c) + 'a' - 'A'
	}
	return t
}()

// hostChars are those of a Host value outside brackets: RFC 3986's unreserved
// and sub-delims and "%". The comma is left out: it would come from two hosts
// joined into one.
var hostChars = charSet("-._~!$&'()*+;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

// ipLiteralChars are those between the brackets of an IPv6 (or later) host.
var ipLiteralChars = charSet("-._~!$&'()*+;=%:0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

func charSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// skipText returns the index of the first byte of p, from i on, that is a
// control character (below 0x20, or DEL), or len(p). It looks at eight bytes
// at a time.
func skipText(p []byte, i int) int {
	for i+8 <= len(p) {
		x := binary.LittleEndian.Uint64(p[i:])
		del := x ^ 0x7f*lowBits
		// The lowest bit set is exact; higher ones may be borrows of it.
		hit := ((x-0x20*lowBits)&^x | (del-lowBits)&^del) & highBits
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
		i += 8
	}
	for i < len(p) && p[i] >= 0x20 && p[i] != 0x7f {
		i++
	}
	return i
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// equalFold compares with a lower-case ASCII string.
func equalFold(s, want string) bool {
	if len(s) != len(want) {
		return false
	}
	for i := range len(s) {
		if lower(s[i]) != want[i] {
			return false
		}
	}
	return true
}

func trimOWS(s string) string {
	for len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for len(s) > 0 && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// nextToken cuts the first member off a comma-separated list.
func nextToken(list string) (token, rest string) {
	for i := range len(list) {
		if list[i] == ',' {
			return trimOWS(list[:i]), list[i+1:]
		}
	}
	return trimOWS(list), ""
}

// hasToken tells whether a comma-separated list has a member, which is in
// lower case.
func hasToken(list, want string) bool {
	for list != "" {
		var t string
		if t, list = nextToken(list); equalFold(t, want) {
			return true
		}
	}
	return false
}
