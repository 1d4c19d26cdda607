package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/filterchain"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/tracing"
)

// Filters are the filters that each try passes between the router and the
// connection: a cluster's http_filters, or the router's upstream_http_filters.
type Filters struct {
	chain   []filterchain.Filter
	scratch []filterchain.Scratch // by worker
}

// Close ends what the filters hold. A nil *Filters has nothing.
func (x *Filters) Close() {
	if x != nil {
		filterchain.Close(x.chain)
	}
}

// filters are those of the request's tries, nil for none.
func (f *filter) filters() *Filters {
	if own, ok := f.cluster.Info().HTTPFilters.(*Filters); ok {
		return own
	}
	return f.cfg.filters
}

// tryChain is the chain of one try, and of later ones with the same filters.
// The filters see the request's own headers, and its stream info.
type tryChain struct {
	filterchain.Chain
	u        *upstreamRequest
	of       *Filters
	pauses   int            // of the client, which the filters asked for
	trailers http.HeaderMap // what filters add to a request without trailers
}

// startChain readies the filters of a try that begins; there may be none.
func (u *upstreamRequest) startChain() {
	f := u.f
	of := f.filters()
	switch c := u.chain; {
	case of == nil:
		u.chain = nil
		return
	case c != nil && c.of == of:
		c.Restart()
	default:
		u.chain = &tryChain{u: u, of: of}
		w, m := f.cb.Worker(), filterchain.Messages{Request: f.cb.RequestHeaders()}
		u.chain.Init(u.chain, f.cb.Loop(), w, of.chain, m, f.cb.StreamInfo(), &of.scratch[w])
	}
	u.chain.trailers.Reset()
	u.chain.RequestTrailers, u.chain.ResponseTrailers = &u.chain.trailers, f.cb.NewTrailers()
	u.chain.SetBufferLimit(f.cb.BufferLimit())
	u.chain.Choose(f.cb.Route())
}

// decode gives the chain what of the request is there when the try begins:
// its head and, in a later try, what lies in u.wait.
func (c *tryChain) decode(headOnly bool) {
	u, f := c.u, c.u.f
	b := c.TakeBuffer()
	defer c.PutBuffer(b)
	b.Move(&u.wait)
	c.RequestWhole = headOnly
	c.DecodeHead(headOnly)
	if headOnly || c.Over() {
		return
	}
	c.RequestWhole, c.GotTrailers = f.requestEnd, f.requestEnd && f.hasTrailers
	if c.GotTrailers {
		c.RequestTrailers = f.cb.RequestTrailers()
	}
	if end := c.RequestWhole && !c.GotTrailers; end || b.Len() > 0 {
		c.DecodeBody(b, end)
	}
	if c.GotTrailers && !c.Over() {
		c.DecodeTail()
	}
}

// end tells the filters that the try is over. Whatever they had the client
// wait for, another try does not.
func (c *tryChain) end() {
	if c == nil || c.Ended {
		return
	}
	c.Destroy()
	for c.pauses > 0 {
		c.ResumeRequest()
	}
}

// What follows implements filterchain.Stream.

func (c *tryChain) Connection() *network.Connection { return c.u.f.cb.Connection() }
func (c *tryChain) StreamID() uint64                { return c.u.f.cb.StreamID() }
func (c *tryChain) Route() http.Route               { return c.u.f.cb.Route() }
func (c *tryChain) ClearRouteCache()                { c.u.f.cb.ClearRouteCache() }
func (c *tryChain) UpgradeType() string             { return c.u.f.cb.UpgradeType() }
func (c *tryChain) SchemeFromUpstream() bool        { return c.u.f.cb.SchemeFromUpstream() }

func (c *tryChain) Trace() (*tracing.Config, *tracing.Span) {
	if t, ok := c.u.f.cb.(traced); ok {
		return t.Trace()
	}
	return nil, nil
}

func (c *tryChain) WriteHead(end bool)                    { c.u.deliverHead(end) }
func (c *tryChain) WriteBody(b *network.Buffer, end bool) { c.u.deliverBody(b, end) }
func (c *tryChain) WriteTail()                            { c.u.deliverTail(c.ResponseTrailers) }
func (c *tryChain) Write1xx(h *http.HeaderMap)            { c.u.f.cb.Encode1xxHeaders(h) }
func (c *tryChain) Touch()                                { c.u.touch() }

func (c *tryChain) PauseRequest() {
	c.pauses++
	c.u.f.cb.OnDecoderAboveHighWatermark()
}

func (c *tryChain) ResumeRequest() {
	if c.pauses > 0 {
		c.pauses--
		c.u.f.cb.OnDecoderBelowLowWatermark()
	}
}

func (c *tryChain) PauseResponse()  { c.u.pauseResponse(true) }
func (c *tryChain) ResumeResponse() { c.u.pauseResponse(false) }

func (c *tryChain) AddDownstreamWatermarks(w http.DownstreamWatermarks) {
	c.u.f.cb.AddDownstreamWatermarks(w)
}

// RequestTooLarge and ResponseTooLarge count nothing, as in Envoy.
func (c *tryChain) RequestTooLarge()  {}
func (c *tryChain) ResponseTooLarge() {}

// Answer answers the whole request: filters upstream do not see it.
func (c *tryChain) Answer(code int, body string, modify func(*http.HeaderMap), grpcStatus int, details string) {
	f := c.u.f
	f.cleanup()
	f.cb.SendLocalReply(code, body, modify, grpcStatus, details)
}

func (c *tryChain) Reset(reason http.ResetReason)       { c.u.f.cb.ResetStream(reason, "") }
func (c *tryChain) RecreateStream(body *network.Buffer) { c.u.f.cb.RecreateStream(body) }

// codecFactory makes the filters that end chains.
type codecFactory struct{}

// New implements http.FilterFactory.
func (codecFactory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return codec{cb.(interface{ Stream() filterchain.Stream }).Stream().(*tryChain).u}
}

// codec gives the request to the connection, or keeps it while there is none.
type codec struct{ u *upstreamRequest }

// DecodeHeaders implements http.DecoderFilter.
func (c codec) DecodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	u := c.u
	u.headEnd, u.headReady = end, true
	if u.enc != nil {
		u.sendHead()
	}
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (c codec) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	c.u.encodeData(b, end)
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (c codec) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	c.u.encodeTrailers(t)
	return http.TrailersContinue
}

// OnDestroy implements http.StreamFilter.
func (codec) OnDestroy() {}

// Recycle implements http.Recycler.
func (codec) Recycle() {}

var _ filterchain.Stream = (*tryChain)(nil)
