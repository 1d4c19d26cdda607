package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
)

// iteration is where a message stands at a filter.
type iteration uint8

const (
	iterContinue iteration = iota
	stopSingle             // the filter holds the headers; it still sees data
	stopAllBuffer
	stopAllWatermark
)

// place is where the request, or the response, stands at a filter.
type place struct {
	state   iteration
	headers bool // the head has gone on to the next filter
	end     bool // the end of the message has come here
	paused  bool // the sender was paused for what is kept
}

func (p *place) stopsAll() bool { return p.state == stopAllBuffer || p.state == stopAllWatermark }

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
	decoding place
	encoding place
}

func (f *slot) set(x http.StreamFilter) {
	f.filter = x
	f.dec, _ = x.(http.DecoderFilter)
	f.enc, _ = x.(http.EncoderFilter)
}

func (f *slot) resetState() {
	f.skip = false
	f.decoding, f.encoding = place{}, place{}
}

func (f *slot) Loop() *network.Loop                     { return f.c.loop }
func (f *slot) Worker() int                             { return f.c.worker }
func (f *slot) Connection() *network.Connection         { return f.c.stream.Connection() }
func (f *slot) StreamInfo() *streaminfo.Info            { return f.c.info }
func (f *slot) StreamID() uint64                        { return f.c.stream.StreamID() }
func (f *slot) FilterName() string                      { return f.of.Name }
func (f *slot) Route() http.Route                       { return f.c.stream.Route() }
func (f *slot) ClearRouteCache()                        { f.c.stream.ClearRouteCache() }
func (f *slot) UpgradeType() string                     { return f.c.stream.UpgradeType() }
func (f *slot) SchemeFromUpstream() bool                { return f.c.stream.SchemeFromUpstream() }
func (f *slot) Trace() (*tracing.Config, *tracing.Span) { return f.c.stream.Trace() }
func (f *slot) Stream() Stream                          { return f.c.stream }
func (f *slot) BufferLimit() uint32                     { return f.c.bufferLimit }
func (f *slot) SetBufferLimit(n uint32)                 { f.c.bufferLimit = n }

func (f *slot) SendLocalReply(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string) {
	f.c.stream.Answer(code, body, modify, grpcStatus, details)
}

func (f *slot) ResetStream(reason http.ResetReason, details string) {
	if details != "" {
		f.c.info.ResponseCodeDetails = details
	}
	f.c.stream.Reset(reason)
}

func (f *slot) AddDownstreamWatermarks(w http.DownstreamWatermarks) {
	f.c.stream.AddDownstreamWatermarks(w)
}

func (f *slot) RecreateStream(body *network.Buffer) { f.c.stream.RecreateStream(body) }

var _ http.RouterCallbacks = (*slot)(nil)
