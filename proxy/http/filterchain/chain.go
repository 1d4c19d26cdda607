package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
)

// Stream is what a chain needs of the stream that it belongs to.
type Stream interface {
	Connection() *network.Connection // downstream
	StreamID() uint64
	Route() http.Route
	ClearRouteCache()
	UpgradeType() string
	SchemeFromUpstream() bool
	Trace() (*tracing.Config, *tracing.Span)

	// WriteHead, WriteBody and WriteTail take the response behind the last
	// filter that saw it.
	WriteHead(end bool)
	WriteBody(b *network.Buffer, end bool)
	WriteTail()
	Write1xx(h *http.HeaderMap)
	// Touch tells that a piece of the response has come.
	Touch()

	// PauseRequest and ResumeRequest stop and start whoever sends the request,
	// PauseResponse and ResumeResponse whoever sends the response.
	PauseRequest()
	ResumeRequest()
	PauseResponse()
	ResumeResponse()
	AddDownstreamWatermarks(w http.DownstreamWatermarks)
	// RequestTooLarge and ResponseTooLarge count a message that outgrew the
	// buffer limit; the chain answers.
	RequestTooLarge()
	ResponseTooLarge()

	// Answer is http.FilterCallbacks.SendLocalReply.
	Answer(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string)
	// Reset cuts the stream off.
	Reset(reason http.ResetReason)
	RecreateStream(body *network.Buffer)
}

// Filter is one filter of a chain as it is configured.
type Filter struct {
	Name     string
	Factory  http.FilterFactory
	Disabled bool // unless the route switches it on
}

// Messages are a request and its response.
type Messages struct {
	Request, RequestTrailers   *http.HeaderMap
	Response, ResponseTrailers *http.HeaderMap
}

// Chain is the filters of one stream, and of later ones: see Restart.
type Chain struct {
	State
	Messages
	stream      Stream
	loop        *network.Loop
	worker      int
	info        *streaminfo.Info
	bufferLimit uint32

	slots    []slot
	usual    []slot // the slots when others are in their place
	request  way
	response way
	scratch  *Scratch
}

// State is what is zero when a stream begins.
type State struct {
	Ended           bool // nothing more passes
	LocalReply      bool // the answer is weir's own: the request goes no further
	RequestWhole    bool // the request is received whole,
	GotTrailers     bool // with trailers
	ResponseStarted bool
	HasRespTrailers bool
}

// Scratch lends buffers to the chains of one worker.
type Scratch struct{ free []*network.Buffer }

// Init readies a chain of filters for a stream of worker w.
func (c *Chain) Init(s Stream, loop *network.Loop, w int, filters []Filter, m Messages, info *streaminfo.Info, scratch *Scratch) {
	c.stream, c.loop, c.worker, c.Messages, c.info, c.scratch = s, loop, w, m, info, scratch
	c.request.init(c, false)
	c.response.init(c, true)
	c.slots = c.newSlots(filters)
}

func (c *Chain) newSlots(filters []Filter) []slot {
	slots := make([]slot, len(filters))
	for i := range slots {
		f := &slots[i]
		f.c, f.index, f.of = c, i, &filters[i]
		f.set(f.of.Factory.New(c.worker, f))
	}
	return slots
}

// Replace has this stream pass other filters, which it does not share with
// later ones.
func (c *Chain) Replace(filters []Filter) {
	c.usual, c.slots = c.slots, c.newSlots(filters)
}

// Choose applies what the route says of each filter.
func (c *Chain) Choose(r http.Route) {
	for i := range c.slots {
		f := &c.slots[i]
		f.skip = f.of.Disabled
		if r == nil {
			continue
		}
		if disabled, known := r.FilterDisabled(f.of.Name); known {
			f.skip = disabled
		}
	}
}

// Over tells that no more of the request is to be decoded.
func (c *Chain) Over() bool { return c.Ended || c.LocalReply }

// SetBufferLimit bounds what is kept for filters, in bytes; 0: no bound.
func (c *Chain) SetBufferLimit(n uint32) { c.bufferLimit = n }

// Destroy tells the filters that the stream has ended, once.
func (c *Chain) Destroy() {
	c.Ended = true
	for i := range c.slots {
		c.slots[i].filter.OnDestroy()
	}
}

// Renew has the filters, which were destroyed, ready for another request:
// those that serve one stream only are made anew.
func (c *Chain) Renew() {
	for i := range c.slots {
		f := &c.slots[i]
		f.resetState()
		if r, ok := f.filter.(http.Recycler); ok {
			r.Recycle()
		} else {
			f.set(f.of.Factory.New(c.worker, f))
		}
	}
	c.request.added, c.response.added = false, false
	c.forget()
}

// Restart readies a destroyed chain for another stream.
func (c *Chain) Restart() {
	if c.usual != nil { // an upgrade had filters of its own
		c.slots, c.usual = c.usual, nil
	}
	c.Renew()
	c.State = State{}
}

// RestartRequest readies it for the same request again: what came of that
// stays.
func (c *Chain) RestartRequest() {
	for i := range c.slots {
		c.slots[i].filter.OnDestroy()
	}
	c.Renew()
	c.State = State{RequestWhole: c.RequestWhole, GotTrailers: c.GotTrailers}
}

// Drop gives up a chain that will not be used again.
func (c *Chain) Drop() {
	c.forget()
	for i := range c.slots {
		if f, ok := c.slots[i].filter.(http.Dropper); ok {
			f.Drop()
		}
	}
}

// forget drops what was kept for filters.
func (c *Chain) forget() {
	c.request.forget()
	c.response.forget()
}

// TakeBuffer and PutBuffer lend a scratch buffer; nested calls get further
// ones.
func (c *Chain) TakeBuffer() *network.Buffer {
	if n := len(c.scratch.free); n > 0 {
		b := c.scratch.free[n-1]
		c.scratch.free = c.scratch.free[:n-1]
		return b
	}
	return c.loop.NewBuffer()
}

// PutBuffer gives a buffer of TakeBuffer back.
func (c *Chain) PutBuffer(b *network.Buffer) {
	b.Reset()
	c.scratch.free = append(c.scratch.free, b)
}

// Close ends what the factories of filters hold.
func Close(filters []Filter) {
	for _, f := range filters {
		if x, ok := f.Factory.(interface{ Close() }); ok {
			x.Close()
		}
	}
}
