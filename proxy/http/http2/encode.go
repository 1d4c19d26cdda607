package http2

import (
	"strings"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
)

// pseudoOrder is the pseudo-headers of a section in the order in which they
// are sent.
type pseudoOrder []http.HeaderID

var (
	noPseudo         pseudoOrder
	responsePseudo   = pseudoOrder{http.Status}
	requestPseudo    = pseudoOrder{http.Method, http.Scheme, http.Authority, http.Path}
	connectPseudo    = pseudoOrder{http.Method, http.Authority}
	extConnectPseudo = pseudoOrder{http.Method, http.Protocol, http.Scheme, http.Authority, http.Path}
)

// writeBlock writes a header section in HEADERS and CONTINUATION frames. It
// fails, and writes nothing, when a name or value can't be sent.
func (c *conn) writeBlock(s *stream, h *http.HeaderMap, order pseudoOrder, end bool) bool {
	lines := h.Lines()
	for i := range lines {
		l := &lines[i]
		if !l.Removed() && (!validValue(l.Value) || l.ID == http.Unknown && !sendable(l.Name)) {
			return false
		}
	}
	p := c.enc.begin(c.set.pool.scratch[:0])
	for _, id := range order {
		p = c.enc.field(p, id, id.Name(), h.Get(id), false)
	}
	for i := range lines {
		if l := &lines[i]; !l.Removed() && carried(l, h) {
			p = c.enc.field(p, l.ID, l.Name, l.Value, l.Sensitive || secret(l))
		}
	}
	c.writeHeaders(s, p, end)
	if c.set.pool.scratch = p; cap(p) > maxScratch {
		c.set.pool.scratch = nil
	}
	return true
}

// maxScratch bounds the memory kept for encoding.
const maxScratch = 64 << 10

// writeHeaders cuts a header block into frames.
func (c *conn) writeHeaders(s *stream, p []byte, end bool) {
	out := c.output()
	kind, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for first := true; first || len(p) > 0; first = false {
		n := min(len(p), minMaxFrame)
		if n == len(p) {
			flags |= http2.FlagHeadersEndHeaders
		}
		waiting := c.nc.OutputLen()
		var head [frameHeaderLen]byte
		putFrame(head[:], n, kind, flags, s.id)
		out.Append(head[:])
		out.Append(p[:n])
		c.queued(kind, frameHeaderLen+n, waiting)
		s.wire.Sent += frameHeaderLen + uint64(n)
		s.wire.HeaderSent += frameHeaderLen + uint64(n)
		p, kind, flags = p[n:], http2.FrameContinuation, 0
	}
	c.flood.progress()
	c.wrote(out)
}

// sendable tells whether a name that filters or configuration may have made
// can be sent. Pseudo-headers of others are left out by carried.
func sendable(name string) bool {
	return isToken(name, true) || strings.HasPrefix(name, ":")
}

// carried tells whether a line of the map goes out as a field (RFC 9113
// section 8.2.2).
func carried(l *http.Header, h *http.HeaderMap) bool {
	switch l.ID {
	case http.Unknown:
		return l.Name[0] != ':'
	case http.Method, http.Path, http.Authority, http.Scheme, http.Protocol, http.Status,
		http.Connection, http.KeepAlive, http.ProxyConnection, http.TransferEncoding, http.Upgrade, http.HTTP2Settings:
		return false
	case http.TE:
		return strings.EqualFold(l.Value, "trailers")
	case http.Host:
		return !h.Has(http.Authority)
	}
	return true
}

// shortCookie is the length below which a cookie could be guessed byte by byte
// from how well it compresses.
const shortCookie = 20

// secret tells whether a field is never to be indexed, here or further on: one
// who can make the proxy send others on the same connection could find its
// value out (RFC 7541 section 7.1).
func secret(l *http.Header) bool {
	switch l.ID {
	case http.Authorization, http.ProxyAuthorization, http.SetCookie:
		return true
	case http.Cookie:
		return len(l.Value) < shortCookie
	}
	return false
}
