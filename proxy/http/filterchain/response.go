package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// EncodeHead has the response's head enter the chain at its end; the map is
// Response.
func (c *Chain) EncodeHead(end bool) {
	c.ResponseStarted = true
	c.response.headers(len(c.slots)-1, end)
}

// EncodeBody has a piece of the response's body enter the chain.
func (c *Chain) EncodeBody(b *network.Buffer, end bool) { c.response.data(len(c.slots)-1, b, end) }

// EncodeTail has the response's trailers enter the chain; they are in
// ResponseTrailers.
func (c *Chain) EncodeTail() {
	c.HasRespTrailers = true
	c.response.trailers(len(c.slots) - 1)
}

// Bypass drops what the response has come to, for one that no filter sees.
func (c *Chain) Bypass() {
	c.response.forget()
	c.HasRespTrailers, c.response.added = false, false
}

// What follows are the response's part of http.RouterCallbacks: a response
// enters the chain at its end, whichever filter answers.

func (f *slot) Encode1xxHeaders(h *http.HeaderMap) {
	if !f.c.Ended && !f.c.ResponseStarted {
		f.c.stream.Write1xx(h)
	}
}

func (f *slot) EncodeHeaders(_ *http.HeaderMap, end bool, details string) {
	if details != "" {
		f.c.info.ResponseCodeDetails = details
	}
	f.c.EncodeHead(end)
}

func (f *slot) EncodeData(b *network.Buffer, end bool) { f.c.EncodeBody(b, end) }
func (f *slot) EncodeTrailers(*http.HeaderMap)         { f.c.EncodeTail() }

func (f *slot) NewResponse() *http.HeaderMap {
	f.c.Response.Reset()
	return f.c.Response
}

func (f *slot) NewTrailers() *http.HeaderMap {
	f.c.ResponseTrailers.Reset()
	return f.c.ResponseTrailers
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

func (f *slot) EncodingBuffer() *network.Buffer  { return f.c.response.body() }
func (f *slot) AddEncodedData(b *network.Buffer) { f.c.response.hold(b) }

func (f *slot) AddEncodedTrailers() *http.HeaderMap {
	f.c.response.added, f.c.response.adder = true, f.index
	f.c.HasRespTrailers = true
	return f.c.ResponseTrailers
}

func (f *slot) InjectEncodedData(b *network.Buffer, end bool) { f.c.response.inject(f, b, end) }
func (f *slot) ContinueEncoding()                             { f.c.response.resume(f) }

func (f *slot) OnEncoderAboveHighWatermark() { f.c.stream.PauseResponse() }
func (f *slot) OnEncoderBelowLowWatermark()  { f.c.stream.ResumeResponse() }
