package http2

import (
	"strings"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
)

// block is the header block that is being read: a HEADERS frame and the
// CONTINUATION frames behind it.
type block struct {
	open      bool // CONTINUATION must follow
	endStream bool
	refused   bool // its stream is to be reset once the block is decoded
	over      bool // past a limit: the rest is dropped
	far       bool // far past it: so is the connection
	regular   bool // a field that is no pseudo-header has come
	kind      section
	pseudo    pseudo // those seen
	id        uint32
	frames    int
	s         *stream // nil: the block is decoded for HPACK's sake only
	h         *http.HeaderMap
	bad       *connError
	count     int
	size      int // decoded bytes
}

// section is what a header block carries.
type section uint8

const (
	requestHead section = iota
	responseHead
	trailerSection
)

// maxFragments bounds the frames of a block.
const maxFragments = 512

func (c *conn) onHeaders(f frame, p []byte) *connError {
	if f.stream == 0 {
		return errStreamID
	}
	p, ok := f.stripPadding(p)
	if !ok {
		return errPadding
	}
	refused := false
	if f.flags.Has(http2.FlagHeadersPriority) {
		if len(p) < 5 {
			return errFrameSize
		}
		refused = dependsOnItself(f.stream, p)
		p = p[5:]
	}
	end := f.flags.Has(http2.FlagHeadersEndStream)
	c.flood.payload(c, len(p), end)
	s, err := c.role.begin(f)
	if err != nil {
		return err
	}
	c.block = block{id: f.stream, s: s, endStream: end, refused: refused}
	if s != nil {
		c.block.into(s)
	}
	return c.fragment(f, p)
}

// into chooses the map that the block of s fills.
func (b *block) into(s *stream) {
	switch {
	case s.headersIn && s.req != nil:
		count(s.c.set.Counters.Trailers) // requests' only, as Envoy's
		b.kind, b.h = trailerSection, s.req.RequestTrailers()
	case s.headersIn && s.res != nil:
		b.kind, b.h = trailerSection, s.res.ResponseTrailers()
	case s.req != nil:
		b.kind, b.h = requestHead, s.req.RequestHeaders()
	case s.res != nil:
		b.kind, b.h = responseHead, s.res.ResponseHeaders()
		s.headIn = b.h
	default: // of a stream that lingers: looked at, but not kept
		if _, server := s.c.role.(*server); server {
			count(s.c.set.Counters.Trailers)
		}
		b.kind, b.h = trailerSection, &s.c.set.pool.trash
		b.h.Reset()
	}
	b.h.SetLimits(int(s.c.set.MaxHeadersCount), s.c.set.maxHead())
}

func (c *conn) onContinuation(f frame, p []byte) *connError {
	if !c.block.open {
		return errContinuation
	}
	c.flood.payload(c, len(p), f.flags.Has(http2.FlagContinuationEndHeaders))
	return c.fragment(f, p)
}

// fragment decodes a piece of the block.
func (c *conn) fragment(f frame, p []byte) *connError {
	b := &c.block
	end := f.flags.Has(http2.FlagHeadersEndHeaders) // the same bit in CONTINUATION
	b.open = !end
	if b.s != nil {
		b.s.wire.Received += frameHeaderLen + uint64(f.length)
		b.s.wire.HeaderReceived += frameHeaderLen + uint64(f.length)
	}
	if b.frames++; b.frames > maxFragments {
		c.violate(errHeaderFlood)
		return errHeaderFlood
	}
	switch err := c.dec.decode(p, end, c); {
	case b.far, err == hpackTooLong:
		c.violate(errHeaderFlood)
		return errHeaderFlood
	case err != hpackOK:
		return errCompression
	case !end:
		return nil
	}
	return c.blockDone()
}

// How far past the limits of a header section a peer may go before that costs
// it the connection.
const (
	farSize  = 4
	farCount = 10
)

// alloc implements hpackSink: the strings are the map's that is filled.
func (c *conn) alloc(n int) []byte {
	if h := c.block.h; h != nil && !c.block.over {
		return h.Alloc(n)
	}
	return c.set.pool.drop(n)
}

// field implements hpackSink: it takes one decoded line.
func (c *conn) field(f hpackField) {
	b := &c.block
	b.count++
	b.size += len(f.name) + len(f.value)
	if most := int(c.set.MaxFieldKB) << 10; most > 0 && (len(f.name) > most || len(f.value) > most) {
		b.over = true
	}
	if b.over || b.size > c.set.maxHead() || b.count > int(c.set.MaxHeadersCount) {
		b.over = true
		if b.size > farSize*c.set.maxHead() || b.count > farCount*int(c.set.MaxHeadersCount) {
			b.far = true
		}
		return
	}
	if b.h == nil || b.bad != nil {
		return
	}
	if c.set.NoObsText && hasObsText(f.value) {
		b.bad = errField
		return
	}
	if strings.HasPrefix(f.name, ":") {
		b.bad = b.pseudoField(f.id, f.value)
		return
	}
	b.regular = true
	b.bad = c.regularField(&f)
}

// blockDone acts on a whole block.
func (c *conn) blockDone() *connError {
	b := &c.block
	s, h := b.s, b.h
	b.s, b.h = nil, nil
	cookies := c.set.pool.cookies
	c.set.pool.cookies = cookies[:0]
	if s == nil || s.closed {
		return nil
	}
	if b.endStream {
		s.recvEnd = true
	}
	switch {
	case b.refused:
		c.refuse(s.id, http2.ErrCodeProtocol)
		return nil
	case b.over:
		count(c.set.Counters.HeaderOverflow)
		c.unwanted(s, detailTooMany)
		return nil
	case b.bad == errUnderscore:
		c.unwanted(s, detailUnderscore)
		return nil
	}
	if len(cookies) > 0 && b.bad == nil {
		h.Add(http.Cookie, joinCookies(h, cookies))
	}
	if b.bad == nil {
		b.bad = b.complete(h)
	}
	if b.bad != nil {
		return c.malformed(s, b.bad)
	}
	if b.kind == trailerSection {
		c.gotTrailers(s, h)
		return nil
	}
	if !b.takeLength(s, h) {
		return c.malformed(s, errMessaging)
	}
	return c.role.head(s, b.endStream)
}

// unwanted ends the stream of a message that breaks limits of this side's.
func (c *conn) unwanted(s *stream, details string) {
	c.flood.serverReset(c)
	s.details = details
	s.abort(http2.ErrCodeInternal, http.RemoteReset)
}

// gotTrailers ends a message.
func (c *conn) gotTrailers(s *stream, h *http.HeaderMap) {
	if s.bodyLeft > 0 {
		c.badLength(s)
		return
	}
	s.inEnd, s.inTrailers, s.trailersIn = true, true, h
	if s.readOff == 0 && s.in.Len() == 0 {
		c.deliver(s, &c.data)
	}
}

// malformed ends the stream of a message that breaks the rules, or the
// connection.
func (c *conn) malformed(s *stream, e *connError) *connError {
	count(c.set.Counters.RxMessagingError)
	s.details = e.details
	if !c.set.StreamErrors {
		if s.res != nil {
			s.tell(http.ProtocolError) // the stream ends before its connection
		}
		return e
	}
	c.flood.serverReset(c)
	s.abort(http2.ErrCodeProtocol, http.ProtocolError)
	return nil
}

// joinCookies makes one field of the crumbs (RFC 9113 section 8.2.3).
func joinCookies(h *http.HeaderMap, crumbs []string) string {
	if len(crumbs) == 1 {
		return crumbs[0]
	}
	n := 2 * (len(crumbs) - 1)
	for _, s := range crumbs {
		n += len(s)
	}
	p := h.Alloc(n)[:0]
	for i, s := range crumbs {
		if i > 0 {
			p = append(p, "; "...)
		}
		p = append(p, s...)
	}
	return text(p)
}
