package tlsinspector

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// fingerprint is what JA3 and JA4 are made of: the order and the choice of
// what a client says that it can do.
type fingerprint struct {
	version                                 uint16 // legacy_version
	versions                                []uint16
	ciphers, extensions, curves, signatures []uint16
	pointFormats                            []byte
	serverName                              bool
	protocol                                string // the first one asked for
}

// Extension types that the fingerprints look into.
const (
	extServerName        = 0
	extSupportedGroups   = 10
	extPointFormats      = 11
	extSignatures        = 13
	extProtocols         = 16
	extSupportedVersions = 43
)

// fingerprintOf reads the body of a ClientHello that parseHello has accepted.
func fingerprintOf(msg []byte) (f fingerprint) {
	s := cryptobyte.String(msg)
	var session, suites, compression, extensions cryptobyte.String
	s.ReadUint16(&f.version)
	s.Skip(32)
	s.ReadUint8LengthPrefixed(&session)
	s.ReadUint16LengthPrefixed(&suites)
	f.ciphers = numbers(suites)
	s.ReadUint8LengthPrefixed(&compression)
	s.ReadUint16LengthPrefixed(&extensions)
	for !extensions.Empty() {
		var kind uint16
		var body, list cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			return f
		}
		if !isGREASE(kind) {
			f.extensions = append(f.extensions, kind)
		}
		switch kind {
		case extServerName:
			f.serverName = true
		case extSupportedGroups:
			body.ReadUint16LengthPrefixed(&list)
			f.curves = numbers(list)
		case extSignatures:
			body.ReadUint16LengthPrefixed(&list)
			f.signatures = numbers(list)
		case extSupportedVersions:
			body.ReadUint8LengthPrefixed(&list)
			f.versions = numbers(list)
		case extPointFormats:
			body.ReadUint8LengthPrefixed(&list)
			f.pointFormats = list
		case extProtocols:
			var first cryptobyte.String
			body.ReadUint16LengthPrefixed(&list)
			list.ReadUint8LengthPrefixed(&first)
			f.protocol = string(first)
		}
	}
	return f
}

// isGREASE tells reserved values, which clients sprinkle at random (RFC 8701).
func isGREASE(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

// numbers are the 16-bit values of a list, without reserved ones.
func numbers(s cryptobyte.String) (out []uint16) {
	for {
		var n uint16
		if !s.ReadUint16(&n) {
			return out
		}
		if !isGREASE(n) {
			out = append(out, n)
		}
	}
}

// ja3 is the MD5 sum of versions and lists in decimal.
func (f *fingerprint) ja3() string {
	formats := make([]uint16, len(f.pointFormats))
	for i, p := range f.pointFormats {
		formats[i] = uint16(p)
	}
	parts := []string{strconv.Itoa(int(f.version))}
	for _, list := range [][]uint16{f.ciphers, f.extensions, f.curves, formats} {
		parts = append(parts, join(list, "-", func(n uint16) string { return strconv.Itoa(int(n)) }))
	}
	sum := md5.Sum([]byte(strings.Join(parts, ",")))
	return hex.EncodeToString(sum[:])
}

// ja4 is a readable part and two hashes of sorted lists.
func (f *fingerprint) ja4() string {
	name := "i"
	if f.serverName {
		name = "d"
	}
	extensions := slices.DeleteFunc(slices.Clone(f.extensions), func(n uint16) bool { return n == extServerName || n == extProtocols })
	last := sorted(extensions)
	if len(f.signatures) > 0 {
		last += "_" + join(f.signatures, ",", hex4)
	}
	if len(f.extensions) == 0 {
		last = ""
	}
	return fmt.Sprintf("t%s%s%02d%02d%s_%s_%s", f.versionName(), name, min(len(f.ciphers), 99), min(len(f.extensions), 99), f.protocolName(), hash12(sorted(f.ciphers)), hash12(last))
}

func (f *fingerprint) versionName() string {
	v := f.version
	if len(f.versions) > 0 {
		v = slices.Max(f.versions)
	}
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	}
	return "00"
}

// protocolName is the first and the last character of the protocol.
func (f *fingerprint) protocolName() string {
	p := f.protocol
	if p == "" {
		return "00"
	}
	first, last := p[0], p[len(p)-1]
	if isAlphanumeric(first) && isAlphanumeric(last) {
		return string([]byte{first, last})
	}
	h := hex.EncodeToString([]byte{first, last})
	return h[:1] + h[3:]
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func hex4(n uint16) string { return fmt.Sprintf("%04x", n) }

func sorted(list []uint16) string { return join(slices.Sorted(slices.Values(list)), ",", hex4) }

func join(list []uint16, sep string, text func(uint16) string) string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = text(n)
	}
	return strings.Join(out, sep)
}

// hash12 are the first twelve digits of the SHA-256 sum; of nothing, zeros.
func hash12(s string) string {
	if s == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
