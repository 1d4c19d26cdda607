package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// EncodeHead has the response's head enter the chain at its end; the map is
// Response.
func (c *Chain) EncodeHead(end bool) {
	c.ResponseStarted = true
	c.encodeHeaders(len(c.slots)-1, end)
}

// EncodeBody has a piece of the response's body enter the chain.
func (c *Chain) EncodeBody(b *network.Buffer, end bool) { c.encodeData(len(c.slots)-1, b, end) }

// EncodeTail has the response's trailers enter the chain; they are in
// ResponseTrailers.
func (c *Chain) EncodeTail() {
	c.HasRespTrailers = true
	c.encodeTrailers(len(c.slots) - 1)
}

// Bypass drops what the response has come to, for one that no filter sees.
func (c *Chain) Bypass() {
	c.encoding.Reset()
	c.HasRespTrailers, c.addedRespTrailers = false, false
}

// Encode1xxHeaders implements http.RouterCallbacks.
func (f *slot) Encode1xxHeaders(h *http.HeaderMap) {
	if !f.c.Ended && !f.c.ResponseStarted {
		f.c.stream.Write1xx(h)
	}
}

// EncodeHeaders implements http.RouterCallbacks: a response enters the chain
// at its end.
func (f *slot) EncodeHeaders(_ *http.HeaderMap, end bool, details string) {
	if details != "" {
		f.c.info.ResponseCodeDetails = details
	}
	f.c.EncodeHead(end)
}

// EncodeData implements http.RouterCallbacks.
func (f *slot) EncodeData(b *network.Buffer, end bool) { f.c.EncodeBody(b, end) }

// EncodeTrailers implements http.RouterCallbacks.
func (f *slot) EncodeTrailers(*http.HeaderMap) { f.c.EncodeTail() }

// encodeHeaders gives the response's head to the filters from i backwards,
// and then to the stream.
func (c *Chain) encodeHeaders(i int, end bool) {
	if c.Ended {
		return
	}
	for ; i >= 0; i-- {
		f := &c.slots[i]
		if f.enc == nil || f.skip {
			f.encoding.headers = true
			continue
		}
		last := end && c.encoding.Len() == 0 && !c.addedRespTrailers
		f.encoding.end = last
		status := f.enc.EncodeHeaders(c.Response, last)
		if c.Ended {
			return
		}
		switch status {
		case http.HeadersStopIteration:
			f.encoding.state = stopSingle
			return
		case http.HeadersStopAllAndBuffer:
			f.encoding.state = stopAllBuffer
			return
		case http.HeadersStopAllAndWatermark:
			f.encoding.state = stopAllWatermark
			return
		}
		f.encoding.headers = true
	}
	last := end && c.encoding.Len() == 0 && !c.addedRespTrailers
	c.stream.WriteHead(last)
	if c.Ended || last {
		return
	}
	if end {
		// Filters have given a response without a body one.
		if c.encoding.Len() > 0 {
			b := c.TakeBuffer()
			b.Move(c.encoding)
			c.stream.WriteBody(b, !c.addedRespTrailers)
			c.PutBuffer(b)
		}
		if c.addedRespTrailers && !c.Ended {
			c.stream.WriteTail()
		}
	}
}

// encodeData gives body bytes to the filters from i backwards.
func (c *Chain) encodeData(i int, b *network.Buffer, end bool) {
	if c.Ended {
		b.Reset()
		return
	}
	c.stream.Touch()
	for ; i >= 0; i-- {
		f := &c.slots[i]
		if f.enc == nil || f.skip {
			continue
		}
		if st := f.encoding.state; st == stopAllBuffer || st == stopAllWatermark {
			f.encoding.end = f.encoding.end || end
			c.keepEncoded(f, b, st == stopAllWatermark)
			return
		}
		status := f.enc.EncodeData(b, end)
		f.encoding.end = end
		if c.Ended {
			b.Reset()
			return
		}
		switch status {
		case http.DataStopAndBuffer:
			f.encoding.state = stopSingle
			c.keepEncoded(f, b, false)
			return
		case http.DataStopAndWatermark:
			f.encoding.state = stopSingle
			c.keepEncoded(f, b, true)
			return
		case http.DataStopNoBuffer:
			f.encoding.state = stopSingle
			b.Reset()
			return
		}
		if f.encoding.state == stopSingle {
			c.encoding.Move(b)
			c.continueEncoding(f)
			return
		}
	}
	c.stream.WriteBody(b, end && !c.addedRespTrailers)
	if end && c.addedRespTrailers && !c.Ended {
		c.stream.WriteTail()
	}
}

// encodeTrailers gives the response's trailers to the filters from i
// backwards.
func (c *Chain) encodeTrailers(i int) {
	if c.Ended {
		return
	}
	c.stream.Touch()
	for ; i >= 0; i-- {
		f := &c.slots[i]
		if f.enc == nil || f.skip {
			continue
		}
		f.encoding.end = true
		if st := f.encoding.state; st == stopAllBuffer || st == stopAllWatermark {
			return
		}
		status := f.enc.EncodeTrailers(c.ResponseTrailers)
		if c.Ended {
			return
		}
		if status == http.TrailersStopIteration {
			if f.encoding.state == iterContinue {
				f.encoding.state = stopSingle
			}
			return
		}
		if f.encoding.state == stopSingle {
			c.continueEncoding(f)
			return
		}
	}
	c.stream.WriteTail()
}

// ContinueEncoding implements http.FilterCallbacks.
func (f *slot) ContinueEncoding() { f.c.continueEncoding(f) }

func (c *Chain) continueEncoding(f *slot) {
	if c.Ended || f.encoding.state == iterContinue && f.encoding.headers {
		return
	}
	stoppedAll := f.encoding.state == stopAllBuffer || f.encoding.state == stopAllWatermark
	f.encoding.state = iterContinue
	end := f.encoding.end && !c.HasRespTrailers
	if !f.encoding.headers {
		f.encoding.headers = true
		c.encodeHeaders(f.index-1, end && c.encoding.Len() == 0)
		if c.Ended {
			return
		}
	}
	from := f.index - 1
	if stoppedAll {
		from = f.index
	}
	if c.encoding.Len() > 0 {
		b := c.TakeBuffer()
		b.Move(c.encoding)
		if f.encoding.paused {
			f.encoding.paused = false
			c.stream.ResumeResponse()
		}
		c.encodeData(from, b, end)
		c.PutBuffer(b)
		if c.Ended {
			return
		}
	}
	if c.HasRespTrailers && f.encoding.end {
		c.encodeTrailers(from)
	}
}

func (c *Chain) passEncodedHeaders(f *slot) {
	if f.encoding.headers {
		return
	}
	f.encoding.headers = true
	c.encodeHeaders(f.index-1, false)
}

// keepEncoded keeps response data for a filter that has stopped.
func (c *Chain) keepEncoded(f *slot, b *network.Buffer, streaming bool) {
	c.encoding.Move(b)
	if c.bufferLimit == 0 || c.encoding.Len() <= int(c.bufferLimit) {
		return
	}
	if streaming {
		if !f.encoding.paused {
			f.encoding.paused = true
			c.stream.PauseResponse()
		}
		return
	}
	c.stream.ResponseTooLarge()
	if f.encoding.headers {
		c.info.ResponseCodeDetails = "response_payload_too_large"
		c.stream.Reset(http.LocalReset)
		return
	}
	c.encoding.Reset()
	c.stream.Answer(500, "Internal Server Error", nil, http.NoGrpcStatus, "response_payload_too_large")
}
