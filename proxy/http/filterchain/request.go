package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// DecodeHead, DecodeBody and DecodeTail take the request into the chain; end
// tells that nothing more comes.
func (c *Chain) DecodeHead(end bool) { c.request.headers(0, end) }

// DecodeBody: see DecodeHead.
func (c *Chain) DecodeBody(b *network.Buffer, end bool) { c.request.data(0, b, end) }

// DecodeTail passes the trailers, which are in RequestTrailers.
func (c *Chain) DecodeTail() { c.request.trailers(0) }

// What follows are the request's part of http.RouterCallbacks.

func (f *slot) RequestHeaders() *http.HeaderMap { return f.c.Request }

func (f *slot) RequestTrailers() *http.HeaderMap {
	if !f.c.request.hasTrailers() {
		return nil
	}
	return f.c.RequestTrailers
}

func (f *slot) DecodingBuffer() *network.Buffer  { return f.c.request.body() }
func (f *slot) AddDecodedData(b *network.Buffer) { f.c.request.hold(b) }

func (f *slot) AddDecodedTrailers() *http.HeaderMap {
	f.c.request.added, f.c.request.adder = true, f.index
	return f.c.RequestTrailers
}

func (f *slot) InjectDecodedData(b *network.Buffer, end bool) { f.c.request.inject(f, b, end) }
func (f *slot) ContinueDecoding()                             { f.c.request.resume(f) }

func (f *slot) OnDecoderAboveHighWatermark() { f.c.stream.PauseRequest() }
func (f *slot) OnDecoderBelowLowWatermark()  { f.c.stream.ResumeRequest() }
