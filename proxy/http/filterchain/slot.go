package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
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
	c        *Chain
	filter   http.StreamFilter
	dec      http.DecoderFilter // nil when the filter does not see requests
	enc      http.EncoderFilter // nil when the filter does not see responses
	of       *Filter
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

func (f *slot) Loop() *network.Loop                     { return f.c.loop }
func (f *slot) Worker() int                             { return f.c.worker }
func (f *slot) Connection() *network.Connection         { return f.c.stream.Connection() }
func (f *slot) StreamInfo() *streaminfo.Info            { return f.c.info }
func (f *slot) StreamID() uint64                        { return f.c.stream.StreamID() }
func (f *slot) FilterName() string                      { return f.of.Name }
func (f *slot) Route() http.Route                       { return f.c.stream.Route() }
func (f *slot) ClearRouteCache()                        { f.c.stream.ClearRouteCache() }
func (f *slot) RequestHeaders() *http.HeaderMap         { return f.c.Request }
func (f *slot) UpgradeType() string                     { return f.c.stream.UpgradeType() }
func (f *slot) SchemeFromUpstream() bool                { return f.c.stream.SchemeFromUpstream() }
func (f *slot) Trace() (*tracing.Config, *tracing.Span) { return f.c.stream.Trace() }
func (f *slot) Stream() Stream                          { return f.c.stream }
func (f *slot) BufferLimit() uint32                     { return f.c.bufferLimit }
func (f *slot) SetBufferLimit(n uint32)                 { f.c.bufferLimit = n }

// NewResponse implements http.RouterCallbacks.
func (f *slot) NewResponse() *http.HeaderMap {
	f.c.Response.Reset()
	return f.c.Response
}

// NewTrailers implements http.RouterCallbacks.
func (f *slot) NewTrailers() *http.HeaderMap {
	f.c.ResponseTrailers.Reset()
	return f.c.ResponseTrailers
}

func (f *slot) RequestTrailers() *http.HeaderMap {
	if !f.c.GotTrailers && !f.c.addedReqTrailers {
		return nil
	}
	return f.c.RequestTrailers
}

func (f *slot) ResponseHeaders() *http.HeaderMap {
	if !f.c.ResponseStarted {
		return nil
	}
	return f.c.Response
}

func (f *slot) ResponseTrailers() *http.HeaderMap {
	if !f.c.HasRespTrailers {
		return nil
	}
	return f.c.ResponseTrailers
}

func (f *slot) DecodingBuffer() *network.Buffer { return nonEmpty(f.c.decoding) }
func (f *slot) EncodingBuffer() *network.Buffer { return nonEmpty(f.c.encoding) }

func nonEmpty(b *network.Buffer) *network.Buffer {
	if b.Len() == 0 {
		return nil
	}
	return b
}

func (f *slot) AddDecodedData(b *network.Buffer) { f.c.decoding.Move(b) }
func (f *slot) AddEncodedData(b *network.Buffer) { f.c.encoding.Move(b) }

func (f *slot) InjectDecodedData(b *network.Buffer, end bool) {
	f.c.passDecodedHeaders(f)
	if f.decoding.paused && f.c.decoding.Len() == 0 { // the filter has taken it
		f.decoding.paused = false
		f.c.stream.ResumeRequest()
	}
	f.c.decodeData(f.index+1, b, end)
}

func (f *slot) InjectEncodedData(b *network.Buffer, end bool) {
	f.c.passEncodedHeaders(f)
	if f.encoding.paused && f.c.encoding.Len() == 0 { // the filter has taken it
		f.encoding.paused = false
		f.c.stream.ResumeResponse()
	}
	f.c.encodeData(f.index-1, b, end)
}

func (f *slot) AddDecodedTrailers() *http.HeaderMap {
	f.c.addedReqTrailers = true
	return f.c.RequestTrailers
}

func (f *slot) AddEncodedTrailers() *http.HeaderMap {
	f.c.addedRespTrailers, f.c.HasRespTrailers = true, true
	return f.c.ResponseTrailers
}

func (f *slot) SendLocalReply(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string) {
	f.c.stream.Answer(code, body, modify, grpcStatus, details)
}

func (f *slot) ResetStream(reason http.ResetReason, details string) {
	if details != "" {
		f.c.info.ResponseCodeDetails = details
	}
	f.c.stream.Reset(reason)
}

func (f *slot) OnDecoderAboveHighWatermark() { f.c.stream.PauseRequest() }
func (f *slot) OnDecoderBelowLowWatermark()  { f.c.stream.ResumeRequest() }

func (f *slot) OnEncoderAboveHighWatermark() { f.c.stream.PauseResponse() }
func (f *slot) OnEncoderBelowLowWatermark()  { f.c.stream.ResumeResponse() }

func (f *slot) AddDownstreamWatermarks(w http.DownstreamWatermarks) {
	f.c.stream.AddDownstreamWatermarks(w)
}

func (f *slot) RecreateStream(body *network.Buffer) { f.c.stream.RecreateStream(body) }

var _ http.RouterCallbacks = (*slot)(nil)
