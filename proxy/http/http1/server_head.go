package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// readHead decodes a request's head when all of it has come.
func (s *server) readHead(b *network.Buffer) (more bool, err *http.CodecError) {
	if s.dec == nil {
		if ready, err := s.skipBlank(b); !ready && err == nil {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if s.enc.conn.AboveHighWatermark() {
			count(s.enc.set.Counters.ResponseFlood)
			s.flooded = true
			s.pause()
			return false, nil
		}
		s.begin()
	}
	n := findHead(b, int(s.in.scanned))
	if n == 0 || n > s.enc.set.maxHead() {
		if !startsWithMethod(b.Front()) {
			return false, errStartLine
		}
		if n > 0 || b.Len() > s.enc.set.maxHead() {
			return false, errTooLarge
		}
		s.in.scanned = uint32(b.Len())
		return false, nil
	}
	s.in.scanned = 0
	h := s.dec.RequestHeaders()
	h.SetLimits(s.enc.set.maxLines(), s.enc.set.maxHead())
	if s.http10, err = parseRequest(h, takeHead(b, n, h), s.enc.set); err != nil {
		s.http10 = false
		return false, err
	}
	return true, s.headDone(h)
}

// maxBlank bounds the empty lines that are skipped before a request (RFC 9112
// section 2.2).
const maxBlank = 16

// skipBlank skips empty lines and tells whether a byte of a request is there.
func (s *server) skipBlank(b *network.Buffer) (ready bool, err *http.CodecError) {
	for b.Len() > 0 {
		var p [2]byte
		n := 1
		if p[0] = b.Front()[0]; p[0] != '\r' && p[0] != '\n' {
			s.blank = 0
			return true, nil
		}
		if p[0] == '\r' {
			if n = b.CopyTo(p[:]); n == 1 {
				return false, nil
			}
			if p[1] != '\n' {
				return false, errStartLine
			}
		}
		if s.blank++; s.blank > maxBlank {
			return false, errStartLine
		}
		b.Drain(n)
	}
	return false, nil
}

// begin starts the stream of a request whose first byte has come.
func (s *server) begin() {
	s.enc.framing, s.enc.left, s.details = framing{}, 0, ""
	s.enc.sent, s.enc.headSent = 0, 0
	s.rx.restart()
	s.started, s.responded, s.toClose = false, false, false
	s.isHead, s.connect, s.upgrade, s.closing, s.http10 = false, false, false, false, false
	s.dec = s.cb.NewStream(responseEncoder{s})
}

// headDone decides how the request is framed and delivers its head.
func (s *server) headDone(h *http.HeaderMap) *http.CodecError {
	method := h.Get(http.Method)
	s.isHead, s.connect = method == "HEAD", method == "CONNECT"
	n, chunked, both, err := bodyLength(h, s.http10, s.enc.set)
	if err != nil {
		return err
	}
	var conn connectionTokens
	if h.Has(http.Connection) {
		conn = readConnection(h)
	}
	if h.Has(http.Upgrade) || h.Has(http.HTTP2Settings) {
		// HTTP/2 is spoken from the first byte only.
		if hasToken(h.Get(http.Upgrade), "h2c") || s.ignores(h.Get(http.Upgrade)) {
			dropUpgrade(h)
		}
		h.Remove(http.HTTP2Settings)
		s.upgrade = conn.upgrade && h.Has(http.Upgrade) && !s.http10 && n <= 0 && !chunked
	}
	if h.Has(http.Connection) {
		if err := removeNominated(h); err != nil {
			return err
		}
	}
	s.closing = conn.close || both || s.http10 && !conn.keepAlive
	if s.connect {
		if n > 0 {
			return errConnectBody
		}
		if chunked {
			return errCoding
		}
		h.Remove(http.ContentLength)
	}
	if s.connect || s.upgrade || method != "GET" && method != "OPTIONS" && !s.isHead {
		s.enc.conn.SpendInput() // it is not safe (RFC 9110 section 9.2.1)
	}
	switch {
	case s.connect || s.upgrade:
		s.phase = phaseHold
		s.dec.DecodeHeaders(false)
	case chunked:
		s.phase, s.in.chunk, s.in.left = phaseChunked, chunkedStart, 0
		s.dec.DecodeHeaders(false)
	case n > 0:
		s.phase, s.in.left = phaseSized, n
		s.dec.DecodeHeaders(false)
	default:
		s.phase = phaseWait
		s.dec.DecodeHeaders(true)
	}
	return nil
}

// ignores tells whether none of the protocols in an Upgrade header is to be
// changed to.
func (s *server) ignores(list string) bool {
	if s.enc.set.IgnoreUpgrade == nil || list == "" {
		return false
	}
	for list != "" {
		var t string
		if t, list = nextToken(list); t != "" && !s.enc.set.IgnoreUpgrade(t) {
			return false
		}
	}
	return true
}
