package http2

import (
	"strings"
	"unsafe"

	"github.com/weirproxy/weir/proxy/http"
)

// pseudo is a set of pseudo-header fields (RFC 9113 section 8.3).
type pseudo uint8

const (
	hasMethod pseudo = 1 << iota
	hasScheme
	hasPath
	hasAuthority
	hasProtocol
	hasStatus
)

// pseudoField takes a pseudo-header field.
func (b *block) pseudoField(id http.HeaderID, value string) *connError {
	bit := pseudo(0)
	switch id {
	case http.Method:
		bit = hasMethod
	case http.Scheme:
		bit = hasScheme
	case http.Path:
		bit = hasPath
	case http.Authority:
		bit = hasAuthority
	case http.Protocol:
		bit = hasProtocol
	case http.Status:
		bit = hasStatus
	}
	switch {
	case b.kind == trailerSection:
		return errField
	case bit == 0, b.regular, b.pseudo&bit != 0, (bit == hasStatus) != (b.kind == responseHead):
		return errMessaging
	case !validPseudo(id, value):
		return errField
	}
	b.pseudo |= bit
	b.h.Add(id, value)
	return nil
}

func validPseudo(id http.HeaderID, value string) bool {
	switch id {
	case http.Method:
		return value != "" && isToken(value, false)
	case http.Authority:
		for i := range len(value) {
			if chars[value[i]]&hostChar == 0 {
				return false
			}
		}
		return true
	case http.Scheme: // RFC 3986 section 3.1
		return value != "" && value[0]|0x20-'a' < 26 && isToken(value, false)
	case http.Path:
		for i := range len(value) {
			if value[i] <= ' ' || value[i] == 0x7f {
				return false
			}
		}
		return true
	case http.Status:
		return len(value) == 3 && value[0]-'1' <= 8 && value[1]-'0' <= 9 && value[2]-'0' <= 9
	}
	return isToken(value, false)
}

// regularField takes a field that is no pseudo-header.
func (c *conn) regularField(f *hpackField) *connError {
	b, set, id := &c.block, c.set, f.id
	if !f.valid {
		return errField
	}
	switch id {
	case http.Unknown:
		if set.Underscores != AllowUnderscores && b.kind == requestHead && strings.IndexByte(f.name, '_') >= 0 {
			if set.Underscores == RejectUnderscores {
				count(set.Counters.RequestsRejectedWithUnderscores)
				return errUnderscore
			}
			count(set.Counters.DroppedHeadersWithUnderscores)
			return nil
		}
		b.h.AddUnknown(f.name, f.value)
		b.mark(f)
		return nil
	case http.Connection, http.KeepAlive, http.ProxyConnection, http.TransferEncoding, http.Upgrade:
		return errField // RFC 9113 section 8.2.2
	case http.TE:
		if !strings.EqualFold(f.value, "trailers") {
			return errField
		}
	case http.Cookie:
		set.pool.cookies = append(set.pool.cookies, f.value)
		return nil
	case http.Host:
		// Without :authority it stands for it.
		if b.kind == requestHead {
			if b.pseudo&hasAuthority == 0 {
				b.pseudo |= hasAuthority
				b.h.Add(http.Authority, f.value)
			}
			return nil
		}
	case http.ContentLength:
		if _, ok := parseLength(f.value); !ok || b.h.Has(id) {
			return errField
		}
		if b.kind == trailerSection {
			return errMessaging
		}
	}
	if b.kind == trailerSection {
		if forbiddenTrailer(id) {
			return nil
		}
	} else if b.h.Has(id) && id.Joined(b.kind == requestHead) {
		b.h.Append(id, ",", f.value)
		return nil
	}
	b.h.Add(id, f.value)
	b.mark(f)
	return nil
}

func (b *block) mark(f *hpackField) {
	if f.never {
		b.h.MarkSensitive()
	}
}

// forbiddenTrailer are fields that frame, route or authorise, which mean
// nothing at the end of a message (RFC 9110 section 6.5.1).
func forbiddenTrailer(id http.HeaderID) bool {
	switch id {
	case http.ContentLength, http.Host, http.TE, http.Trailer, http.Expect, http.HTTP2Settings, http.Authorization,
		http.ProxyAuthorization, http.SetCookie, http.ContentType, http.ContentEncoding, http.XForwardedFor, http.XForwardedHost,
		http.XForwardedProto, http.XForwardedPort, http.XForwardedClientCert, http.CacheControl:
		return true
	}
	return false
}

// complete checks what only a whole section shows (RFC 9113 sections 8.3.1,
// 8.3.2 and 8.5, RFC 8441 section 4).
func (b *block) complete(h *http.HeaderMap) *connError {
	ok := true
	switch b.kind {
	case responseHead:
		ok = b.pseudo == hasStatus
	case requestHead:
		connect := h.Get(http.Method) == "CONNECT"
		switch need := hasMethod | hasScheme | hasPath; {
		case b.pseudo&hasProtocol != 0:
			ok = connect && b.pseudo&(need|hasAuthority) == need|hasAuthority && h.Get(http.Path) != ""
		case connect:
			ok = b.pseudo == hasMethod|hasAuthority && h.Get(http.Authority) != ""
		default:
			path := h.Get(http.Path)
			ok = b.pseudo&need == need && b.pseudo&hasAuthority != 0 &&
				path != "" && (path[0] == '/' || path == "*" && h.Get(http.Method) == "OPTIONS")
		}
	case trailerSection:
		ok = b.endStream
	}
	if !ok {
		return errMessaging
	}
	return nil
}

// takeLength reads the content-length, against which the body is checked.
func (b *block) takeLength(s *stream, h *http.HeaderMap) bool {
	if b.kind == responseHead && h.Get(http.Status) == "304" {
		s.bodyLeft = 0 // whatever the length says (RFC 9110 section 6.4.1)
		return true
	}
	none := b.kind == responseHead && h.Get(http.Status) == "204"
	if none {
		s.bodyLeft = 0
	}
	if !h.Has(http.ContentLength) {
		return true
	}
	n, ok := parseLength(h.Get(http.ContentLength))
	if !ok {
		return false
	}
	if b.kind == responseHead && s.noBody {
		return true
	}
	if (b.endStream || none) && n > 0 {
		return false
	}
	s.bodyLeft = n
	return true
}

func parseLength(v string) (n int64, ok bool) {
	if v == "" {
		return 0, false
	}
	for i := range len(v) {
		d := v[i] - '0'
		if d > 9 || n > (1<<63-1-9)/10 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	return n, true
}

// Classes of characters.
const (
	tokenChar = 1 << iota // RFC 9110 section 5.6.2
	upperChar
	valueChar // RFC 9110 section 5.5, and obs-text
	hostChar  // RFC 3986 section 3.2, but for user information
)

var chars = func() (t [256]uint8) {
	for i := range t {
		if i >= ' ' && i != 0x7f || i == '\t' {
			t[i] = valueChar
		}
	}
	for _, c := range "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] |= tokenChar
	}
	for _, c := range "-._~%!$&'()*+,;=:[]0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		t[c] |= hostChar
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] |= upperChar
	}
	return t
}()

// isToken tells whether s is a token, in lower case if asked for.
func isToken(s string, lower bool) bool {
	for i := range len(s) {
		c := chars[s[i]]
		if c&tokenChar == 0 || lower && c&upperChar != 0 {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	for i := range len(s) {
		if chars[s[i]]&valueChar == 0 {
			return false
		}
	}
	return true
}

func hasObsText(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return true
		}
	}
	return false
}

// text is p as a string, which shares its memory.
func text(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }
