package statefulsession

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// decode is what text is base64 of; "" when it is none.
func decode(text string) string {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ""
	}
	return string(b)
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// cookieState keeps the address in a cookie.
type cookieState struct {
	name, path string
	ttl        int64  // seconds; 0: until the client's session ends
	attributes string // of the cookie, behind its value
}

func (c *cookieState) read(h *http.HeaderMap, now int64) (address string, found, ok bool) {
	if !covers(c.path, h.Get(http.Path)) {
		return "", false, false
	}
	value, _ := matcher.CookieValue(h, c.name)
	if value == "" {
		return "", false, true
	}
	value = decode(value)
	address, expires, valid := parseCookie(value)
	switch {
	case !valid:
		return value, true, true // as Envoy once wrote it: the address alone
	case address == "" || expires != 0 && now > expires:
		return "", false, true
	}
	return address, true, true
}

// covers tells whether a cookie's path covers that of a request.
func covers(path, request string) bool {
	rest, ok := strings.CutPrefix(request, path)
	return ok && (path == "" || path[len(path)-1] == '/' || rest == "" || strings.IndexByte("/?#", rest[0]) >= 0)
}

func (c *cookieState) write(h *http.HeaderMap, address, was string, had bool, now int64) bool {
	if had && address == was {
		return false
	}
	expires := int64(0)
	if c.ttl != 0 {
		expires = now + c.ttl
	}
	h.Add(http.SetCookie, h.Concat(c.name, `="`, encode(cookiePayload(address, expires)), `"`, c.attributes))
	return true
}

// The payload of a cookie is a protobuf of Envoy's own, with these fields.
const (
	addressField protowire.Number = 1 // string
	expiresField protowire.Number = 2 // uint64: seconds since 1970
)

func cookiePayload(address string, expires int64) string {
	b := protowire.AppendTag(nil, addressField, protowire.BytesType)
	b = protowire.AppendString(b, address)
	if expires != 0 {
		b = protowire.AppendTag(b, expiresField, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(expires))
	}
	return string(b)
}

// parseCookie reads a payload; valid is false when it is not one.
func parseCookie(payload string) (address string, expires int64, valid bool) {
	for b := []byte(payload); len(b) > 0; {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return "", 0, false
		}
		b = b[n:]
		switch {
		case number == addressField && kind == protowire.BytesType:
			if address, n = protowire.ConsumeString(b); !utf8.ValidString(address) {
				return "", 0, false
			}
		case number == expiresField && kind == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			expires = int64(min(v, 1<<62))
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return "", 0, false
		}
		b = b[n:]
	}
	return address, expires, true
}

// cookieAttributes are what stands behind a cookie's value.
func cookieAttributes(ttl int64, path string, more []string) string {
	var b strings.Builder
	if ttl != 0 {
		b.WriteString("; Max-Age=" + strconv.FormatInt(ttl, 10))
	}
	if path != "" {
		b.WriteString("; Path=" + path)
	}
	for _, a := range more {
		b.WriteString("; " + a)
	}
	b.WriteString("; HttpOnly")
	return b.String()
}

// headerState keeps the address in a header.
type headerState struct{ name string }

func (s *headerState) read(h *http.HeaderMap, _ int64) (address string, found, ok bool) {
	value, found := h.GetName(s.name)
	if !found {
		return "", false, true
	}
	return decode(value), true, true
}

func (s *headerState) write(h *http.HeaderMap, address, was string, had bool, _ int64) bool {
	if had && address == was {
		return false
	}
	h.SetName(s.name, h.Own(encode(address)))
	return true
}

// envelopeState puts the address around a header that the upstream sends,
// which gets back what is its own.
type envelopeState struct{ name string }

// originalPart begins the part of an envelope that is the upstream's.
const originalPart = "UV:"

func (s *envelopeState) read(h *http.HeaderMap, _ int64) (address string, found, ok bool) {
	value, _ := h.GetName(s.name)
	first, original := "", ""
	for part := range strings.SplitSeq(value, ";") {
		switch inner, isOriginal := strings.CutPrefix(part, originalPart); {
		case part == "":
		case first == "":
			first = part
		case isOriginal && original == "":
			original = decode(inner)
		}
	}
	if original == "" || strings.ContainsAny(original, "\r\n\x00") {
		return "", false, true
	}
	h.SetName(s.name, h.Own(original))
	return decode(first), true, true
}

func (s *envelopeState) write(h *http.HeaderMap, address, was string, had bool, _ int64) bool {
	own := h.Values(s.name)
	if len(own) != 1 {
		return false
	}
	h.SetName(s.name, h.Concat(encode(address), ";"+originalPart, encode(own[0])))
	return !had || address != was
}
