package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// Connection, StreamID, Route, ClearRouteCache, UpgradeType and
// SchemeFromUpstream implement filterchain.Stream.
func (s *stream) Connection() *network.Connection { return s.m.conn }
func (s *stream) StreamID() uint64                { return s.id }
func (s *stream) Route() http.Route               { return s.findRoute() }
func (s *stream) ClearRouteCache()                { s.routeKnown = false }
func (s *stream) UpgradeType() string             { return s.upgrade }
func (s *stream) SchemeFromUpstream() bool        { return s.cfg.schemeFromUpstream }

// AddDownstreamWatermarks implements filterchain.Stream.
func (s *stream) AddDownstreamWatermarks(w http.DownstreamWatermarks) {
	s.watermarks = append(s.watermarks, w)
}

// PauseRequest implements filterchain.Stream: the client has to wait.
func (s *stream) PauseRequest() {
	if s.Ended {
		return
	}
	s.readDisabled++
	s.w.stats.DownstreamFlowControlPausedReadingTotal.Inc()
	s.enc.ReadDisable(true)
}

// ResumeRequest implements filterchain.Stream.
func (s *stream) ResumeRequest() {
	if s.Ended || s.readDisabled == 0 {
		return
	}
	s.readDisabled--
	s.w.stats.DownstreamFlowControlResumedReadingTotal.Inc()
	s.enc.ReadDisable(false)
}

// PauseResponse implements filterchain.Stream: as if the client took no more.
func (s *stream) PauseResponse() { s.OnAboveWriteBufferHighWatermark() }

// ResumeResponse implements filterchain.Stream.
func (s *stream) ResumeResponse() { s.OnBelowWriteBufferLowWatermark() }

// RequestTooLarge and ResponseTooLarge implement filterchain.Stream.
func (s *stream) RequestTooLarge()  { s.w.stats.DownstreamRqTooLarge.Inc() }
func (s *stream) ResponseTooLarge() { s.w.stats.RsTooLarge.Inc() }

// Reset implements filterchain.Stream: it cuts the stream off.
func (s *stream) Reset(reason http.ResetReason) {
	if s.Ended {
		return
	}
	s.w.stats.DownstreamRqTxReset.Inc()
	s.w.stats.DownstreamRqRxReset.Inc() // Envoy counts whatever ends too early
	m, enc := s.m, s.enc
	if m.protocol < http.HTTP2 {
		m.drain = closing
	}
	s.destroy()
	enc.ResetStream(reason)
	m.maybeClose(false)
}

// Write1xx implements filterchain.Stream.
func (s *stream) Write1xx(h *http.HeaderMap) {
	if s.cfg.proxy100Continue || h.Get(http.Status) != "100" {
		s.enc.Encode1xxHeaders(h)
	}
}

// WriteHead implements filterchain.Stream: it puts the last touches to the
// response's head and encodes it.
func (s *stream) WriteHead(end bool) {
	if statusOf(&s.response) == 0 {
		s.Answer(502, "missing required header: :status", nil, http.NoGrpcStatus, "filter_removed_required_response_headers{missing_required_header:_:status}")
		return
	}
	s.Touch()
	s.headersWritten = true
	s.finishResponse(end)
	s.info.FirstDownstreamTxByte = s.m.conn.Loop().Now()
	s.enc.EncodeHeaders(&s.response, end)
	if end && !s.Ended {
		s.endStream()
	}
}

// WriteBody implements filterchain.Stream.
func (s *stream) WriteBody(b *network.Buffer, end bool) {
	s.info.BytesSent += uint64(b.Len())
	s.enc.EncodeData(b, end)
	if end && !s.Ended {
		s.endStream()
	}
}

// WriteTail implements filterchain.Stream.
func (s *stream) WriteTail() {
	s.enc.EncodeTrailers(&s.responseTrailers)
	if !s.Ended {
		s.endStream()
	}
}
