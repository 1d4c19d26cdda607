package http1

import (
	"bytes"
	"unsafe"

	"github.com/weirproxy/weir/proxy/http"
)

func text(p []byte) string { return unsafe.String(unsafe.SliceData(p), len(p)) }

// section is which kind of field lines are parsed.
type section uint8

const (
	requestSection section = iota
	responseSection
	trailerSection
)

// parseFields adds the field lines raw[p:] to h, to which raw belongs. The
// section ends, and raw with it, in an empty line. Names are put in lower
// case in place.
func parseFields(h *http.HeaderMap, raw []byte, p int, sec section, s *Settings) *http.CodecError {
	// A line that joins another does not count as one, but joining takes memory.
	left, joins := s.maxLines(), s.maxLines()
	if s.Case == PreserveCase {
		h.KeepSpelling(s.CapitalizeOwn)
	}
	for p < len(raw) {
		if s.Case == PreserveCase {
			keepSpelling(h, raw[p:], s.CapitalizeOwn)
		}
		name := lowerToken(raw[p:])
		p += len(name)
		if len(name) == 0 {
			if c := raw[p]; c == '\n' || c == '\r' && p+1 < len(raw) && raw[p+1] == '\n' {
				return nil
			}
			if raw[p] == ' ' || raw[p] == '\t' {
				return errFold
			}
			return errName
		}
		if p == len(raw) || raw[p] != ':' {
			return errName
		}
		for p++; p < len(raw) && (raw[p] == ' ' || raw[p] == '\t'); p++ {
		}
		start := p
		for p = skipText(raw, p); p < len(raw) && raw[p] == '\t'; p = skipText(raw, p+1) {
		}
		end := p
		switch {
		case p < len(raw) && raw[p] == '\n':
			p++
		case p+1 < len(raw) && raw[p] == '\r' && raw[p+1] == '\n':
			p += 2
		default:
			return errValue
		}
		for end > start && (raw[end-1] == ' ' || raw[end-1] == '\t') {
			end--
		}
		before := h.Len()
		if err := addField(h, text(name), text(raw[start:end]), sec, s); err != nil {
			return err
		}
		if h.Len() > before {
			left--
		} else {
			joins--
		}
		if left < 0 || joins < 0 {
			return errTooMany
		}
	}
	return errName // no empty line; findHead saw one, so this is not reached
}

// keepSpelling remembers the field name at the start of p when it has capitals,
// or all are to be.
func keepSpelling(h *http.HeaderMap, p []byte, all bool) {
	capitals := all
	for i, b := range p {
		if c := tokenLower[b]; c == 0 {
			if capitals {
				h.Spell(h.OwnBytes(p[:i]))
			}
			return
		} else if c != b {
			capitals = true
		}
	}
}

// lowerToken puts the token at the start of p in lower case and returns it.
func lowerToken(p []byte) []byte {
	for i, b := range p {
		c := tokenLower[b]
		if c == 0 {
			return p[:i]
		}
		p[i] = c
	}
	return p
}

func addField(h *http.HeaderMap, name, value string, sec section, s *Settings) *http.CodecError {
	id := http.LookupID(name)
	if id == http.Unknown {
		if s.Underscores != AllowUnderscores && bytes.IndexByte(unsafe.Slice(unsafe.StringData(name), len(name)), '_') >= 0 {
			if s.Underscores == DropUnderscores {
				count(s.Counters.DroppedHeadersWithUnderscores)
				return nil
			}
			count(s.Counters.RequestsRejectedWithUnderscore)
			return errUnderscore
		}
		h.AddUnknown(name, value)
		return nil
	}
	if sec == trailerSection {
		if !forbiddenTrailer(id) {
			h.Add(id, value)
		}
		return nil
	}
	switch id {
	case http.Host:
		if sec == requestSection {
			if h.Has(http.Authority) || !validHost(value) {
				return errHost
			}
			h.Add(http.Authority, value)
			return nil
		}
	case http.ContentLength:
		if h.Has(id) {
			return errLength
		}
	}
	if h.Has(id) && id.Joined(sec == requestSection) {
		h.Append(id, ",", value)
		return nil
	}
	h.Add(id, value)
	return nil
}

// forbiddenTrailer are fields that frame, route or authorise, which mean
// nothing at the end of a message (RFC 9110 section 6.5.1).
func forbiddenTrailer(id http.HeaderID) bool {
	switch id {
	case http.ContentLength, http.TransferEncoding, http.Host, http.Connection, http.KeepAlive, http.ProxyConnection,
		http.Upgrade, http.TE, http.Trailer, http.Expect, http.HTTP2Settings, http.Authorization, http.ProxyAuthorization,
		http.Cookie, http.SetCookie, http.ContentType, http.ContentEncoding, http.XForwardedFor, http.XForwardedHost,
		http.XForwardedProto, http.XForwardedPort, http.XForwardedClientCert, http.CacheControl:
		return true
	}
	return false
}
