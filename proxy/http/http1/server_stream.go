package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// responseEncoder is the response's end of a server's stream. It is only a
// pointer, so it costs nothing to make one for each request.
type responseEncoder struct{ s *server }

func (r responseEncoder) SetCallbacks(cb http.StreamCallbacks) { r.s.callbacks = cb }

// Bytes implements http.Metered.
func (r responseEncoder) Bytes() http.Bytes {
	return http.Bytes{Received: r.s.rx.count(), Sent: r.s.enc.sent, HeaderSent: r.s.enc.headSent}
}

func (r responseEncoder) Details() string { return r.s.details }

func (r responseEncoder) BufferLimit() uint32 { return r.s.enc.bufferLimit() }

func (r responseEncoder) StreamErrorOnInvalidMessage() bool { return r.s.enc.set.StreamErrors }

// ResetStream ends the connection behind what is written already.
func (r responseEncoder) ResetStream(reason http.ResetReason) {
	s := r.s
	if s.dec == nil {
		return
	}
	cb := s.callbacks
	s.phase, s.closing = phaseDead, true
	s.streamDone()
	if cb != nil {
		cb.OnResetStream(reason, "")
	}
	s.enc.conn.Close(network.FlushWriteAndDelay)
}

func (r responseEncoder) ReadDisable(off bool) {
	s := r.s
	if s.dec == nil {
		return // the stream is over, and its calls are undone
	}
	if off {
		s.readOff++
	} else {
		s.readOff--
	}
	s.enc.conn.ReadDisable(off)
}

func (r responseEncoder) Encode1xxHeaders(h *http.HeaderMap) {
	s := r.s
	if s.dec == nil || s.started || s.http10 {
		return
	}
	start := s.statusLine(statusCode(h))
	s.enc.head(start[:], h, "", true)
}

func (r responseEncoder) EncodeHeaders(h *http.HeaderMap, end bool) {
	s := r.s
	if s.dec == nil || s.started {
		return
	}
	code := statusCode(h)
	tunnel := s.phase == phaseHold && (s.upgrade && code == 101 || s.connect && code/100 == 2)
	dropLength := code < 200 || code == 204 || tunnel
	extra := ""
	s.enc.left, s.enc.framing = -1, framing{}
	s.enc.noBody = !tunnel && (s.isHead || code < 200 || code == 204 || code == 304)
	switch {
	case tunnel || dropLength || code == 304:
	case h.Has(http.ContentLength):
		if n, ok := parseLength(h.Get(http.ContentLength)); ok {
			s.enc.left = n
		}
	case end && !s.isHead:
		extra = "content-length: 0\r\n"
	case s.http10:
		// The end of the connection is the end of the body.
		s.toClose, s.closing = true, true
		h.Set(http.Connection, "close")
	default:
		extra = "transfer-encoding: chunked\r\n"
		s.enc.chunked = !s.isHead
	}
	s.started = true
	start := s.statusLine(code)
	if h.Reason != "" {
		start[3] = h.Reason
	}
	if !s.enc.head(start[:], h, extra, dropLength) {
		r.broken()
		return
	}
	if tunnel {
		s.phase, s.toClose, s.closing = phaseTunnel, true, true
		if s.connect {
			s.enc.conn.EnableHalfClose(true)
		}
		s.resume()
	}
	switch {
	case end && s.enc.left > 0 && !s.enc.noBody:
		r.broken()
	case end:
		r.end()
	}
}

func (r responseEncoder) EncodeData(b *network.Buffer, end bool) {
	if r.s.dec == nil || r.s.responded {
		b.Reset()
		return
	}
	if !r.s.enc.data(b, end) {
		r.broken()
		return
	}
	if end {
		r.end()
	}
}

func (r responseEncoder) EncodeTrailers(t *http.HeaderMap) {
	if r.s.dec == nil || r.s.responded {
		return
	}
	if !r.s.enc.trailers(t) {
		r.broken()
		return
	}
	r.end()
}

func (r responseEncoder) end() {
	s := r.s
	s.responseDone()
	if s.toClose {
		s.enc.conn.Close(network.FlushWriteAndDelay)
	}
}

// broken ends the connection because the response can't be written as its
// head promises; what went out is cut off visibly.
func (r responseEncoder) broken() { r.ResetStream(http.LocalReset) }

// statusLine is the start line of a response, in pieces.
func (s *server) statusLine(code int) [5]string {
	version := "HTTP/1.1 "
	if s.http10 {
		version = "HTTP/1.0 "
	}
	return [5]string{version, statusText(code), " ", Reason(code), "\r\n"}
}

// statusCode is the map's :status; a missing or odd one is 500.
func statusCode(h *http.HeaderMap) int {
	v := h.Get(http.Status)
	if len(v) != 3 || !digits(v) || v[0] == '0' {
		return 500
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}
