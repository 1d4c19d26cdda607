package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// iteration is where one direction of a message stands at a filter.
type iteration uint8

const (
	iterContinue iteration = iota
	stopSingle             // the filter holds the headers; it still sees data
	stopAllBuffer
	stopAllWatermark
)

// direction is a filter's state for the request or for the response.
type direction struct {
	state   iteration
	headers bool // the headers have gone on to the next filter
	end     bool // the filter was given the end of the message
	paused  bool // the sender was paused for what is buffered
}

// slot is one filter's place in a stream's chain, and the callbacks that the
// filter has.
type slot struct {
	s        *stream
	filter   http.StreamFilter
	dec      http.DecoderFilter // nil when the filter does not see requests
	enc      http.EncoderFilter // nil when the filter does not see responses
	of       *namedFilter
	index    int
	skip     bool // switched off for this stream's route
	decoding direction
	encoding direction
}

func (f *slot) set(x http.StreamFilter) {
	f.filter = x
	f.dec, _ = x.(http.DecoderFilter)
	f.enc, _ = x.(http.EncoderFilter)
}

func (f *slot) resetState() {
	f.skip = false
	f.decoding, f.encoding = direction{}, direction{}
}

func (f *slot) Loop() *network.Loop             { return f.s.w.loop }
func (f *slot) Worker() int                     { return f.s.w.index }
func (f *slot) Connection() *network.Connection { return f.s.m.conn }
func (f *slot) StreamInfo() *streaminfo.Info    { return &f.s.info }
func (f *slot) StreamID() uint64                { return f.s.id }
func (f *slot) FilterName() string              { return f.of.name }
func (f *slot) Route() http.Route               { return f.s.findRoute() }
func (f *slot) ClearRouteCache()                { f.s.routeKnown = false }
func (f *slot) RequestHeaders() *http.HeaderMap { return &f.s.request }
func (f *slot) UpgradeType() string             { return f.s.upgrade }
func (f *slot) SchemeFromUpstream() bool        { return f.s.cfg.schemeFromUpstream }
func (f *slot) BufferLimit() uint32             { return f.s.bufferLimit }
func (f *slot) SetBufferLimit(n uint32)         { f.s.bufferLimit = n }

// NewResponse implements http.RouterCallbacks.
func (f *slot) NewResponse() *http.HeaderMap {
	f.s.response.Reset()
	return &f.s.response
}

// NewTrailers implements http.RouterCallbacks.
func (f *slot) NewTrailers() *http.HeaderMap {
	f.s.responseTrailers.Reset()
	return &f.s.responseTrailers
}

func (f *slot) RequestTrailers() *http.HeaderMap {
	if !f.s.gotTrailers && !f.s.addedReqTrailers {
		return nil
	}
	return &f.s.requestTrailers
}

func (f *slot) ResponseHeaders() *http.HeaderMap {
	if !f.s.responseStarted {
		return nil
	}
	return &f.s.response
}

func (f *slot) ResponseTrailers() *http.HeaderMap {
	if !f.s.hasRespTrailers {
		return nil
	}
	return &f.s.responseTrailers
}

func (f *slot) DecodingBuffer() *network.Buffer { return nonEmpty(f.s.decoding) }
func (f *slot) EncodingBuffer() *network.Buffer { return nonEmpty(f.s.encoding) }

func nonEmpty(b *network.Buffer) *network.Buffer {
	if b.Len() == 0 {
		return nil
	}
	return b
}

func (f *slot) AddDecodedData(b *network.Buffer) { f.s.decoding.Move(b) }
func (f *slot) AddEncodedData(b *network.Buffer) { f.s.encoding.Move(b) }

func (f *slot) InjectDecodedData(b *network.Buffer, end bool) {
	f.s.passDecodedHeaders(f)
	if f.decoding.paused && f.s.decoding.Len() == 0 { // the filter has taken it
		f.decoding.paused = false
		f.s.resumeRequest()
	}
	f.s.decodeData(f.index+1, b, end)
}

func (f *slot) InjectEncodedData(b *network.Buffer, end bool) {
	f.s.passEncodedHeaders(f)
	if f.encoding.paused && f.s.encoding.Len() == 0 { // the filter has taken it
		f.encoding.paused = false
		f.s.OnBelowWriteBufferLowWatermark()
	}
	f.s.encodeData(f.index-1, b, end)
}

func (f *slot) AddDecodedTrailers() *http.HeaderMap {
	f.s.addedReqTrailers = true
	return &f.s.requestTrailers
}

func (f *slot) AddEncodedTrailers() *http.HeaderMap {
	f.s.addedRespTrailers, f.s.hasRespTrailers = true, true
	return &f.s.responseTrailers
}

func (f *slot) SendLocalReply(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string) {
	f.s.sendLocalReply(code, body, modify, grpcStatus, details)
}

func (f *slot) ResetStream(reason http.ResetReason, details string) {
	if details != "" {
		f.s.info.ResponseCodeDetails = details
	}
	f.s.resetByProxy(reason)
}

func (f *slot) OnDecoderAboveHighWatermark() { f.s.pauseRequest() }
func (f *slot) OnDecoderBelowLowWatermark()  { f.s.resumeRequest() }

func (f *slot) OnEncoderAboveHighWatermark() { f.s.OnAboveWriteBufferHighWatermark() }
func (f *slot) OnEncoderBelowLowWatermark()  { f.s.OnBelowWriteBufferLowWatermark() }

func (f *slot) AddDownstreamWatermarks(w http.DownstreamWatermarks) {
	f.s.watermarks = append(f.s.watermarks, w)
}

func (s *stream) pauseRequest() {
	if s.ended {
		return
	}
	s.readDisabled++
	s.w.stats.DownstreamFlowControlPausedReadingTotal.Inc()
	s.enc.ReadDisable(true)
}

func (s *stream) resumeRequest() {
	if s.ended || s.readDisabled == 0 {
		return
	}
	s.readDisabled--
	s.w.stats.DownstreamFlowControlResumedReadingTotal.Inc()
	s.enc.ReadDisable(false)
}

// resetByProxy cuts the stream off.
func (s *stream) resetByProxy(reason http.ResetReason) {
	if s.ended {
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

var _ http.RouterCallbacks = (*slot)(nil)
