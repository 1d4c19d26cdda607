package filterchain

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// DecodeHead, DecodeBody and DecodeTail take the request into the chain; end
// tells that nothing more comes.
func (c *Chain) DecodeHead(end bool) { c.decodeHeaders(0, end) }

// DecodeBody: see DecodeHead.
func (c *Chain) DecodeBody(b *network.Buffer, end bool) { c.decodeData(0, b, end) }

// DecodeTail passes the trailers, which are in RequestTrailers.
func (c *Chain) DecodeTail() { c.decodeTrailers(0) }

// decodeHeaders gives the request's head to the filters from i on.
func (c *Chain) decodeHeaders(i int, end bool) {
	for ; i < len(c.slots); i++ {
		f := &c.slots[i]
		if f.dec == nil || f.skip {
			f.decoding.headers = true
			continue
		}
		// A filter before may have added a body to a request without one.
		last := end && c.decoding.Len() == 0 && !c.addedReqTrailers
		f.decoding.end = last
		status := f.dec.DecodeHeaders(c.Request, last)
		if c.Over() {
			return
		}
		switch status {
		case http.HeadersStopIteration:
			f.decoding.state = stopSingle
			return
		case http.HeadersStopAllAndBuffer:
			f.decoding.state = stopAllBuffer
			return
		case http.HeadersStopAllAndWatermark:
			f.decoding.state = stopAllWatermark
			return
		}
		f.decoding.headers = true
		if end && c.decoding.Len() > 0 && i+1 < len(c.slots) {
			// The added body follows the head through the rest of the chain.
			c.decodeHeaders(i+1, true)
			if !c.Over() && c.decoding.Len() > 0 {
				c.releaseDecoded(i+1, true)
			}
			return
		}
	}
}

// decodeData gives body bytes to the filters from i on.
func (c *Chain) decodeData(i int, b *network.Buffer, end bool) {
	for ; i < len(c.slots); i++ {
		f := &c.slots[i]
		if f.dec == nil || f.skip {
			continue
		}
		if st := f.decoding.state; st == stopAllBuffer || st == stopAllWatermark {
			c.keepDecoded(f, b, st == stopAllWatermark)
			return
		}
		if f.decoding.end {
			return
		}
		f.decoding.end = end && !c.GotTrailers
		status := f.dec.DecodeData(b, end)
		if c.Over() {
			b.Reset()
			return
		}
		switch status {
		case http.DataStopAndBuffer:
			f.decoding.state = stopSingle
			c.keepDecoded(f, b, false)
			return
		case http.DataStopAndWatermark:
			f.decoding.state = stopSingle
			c.keepDecoded(f, b, true)
			return
		case http.DataStopNoBuffer:
			f.decoding.state = stopSingle
			b.Reset()
			return
		}
		if f.decoding.state == stopSingle {
			// The filter lets go of all that it had stopped.
			c.decoding.Move(b)
			c.continueDecoding(f)
			return
		}
		if c.addedReqTrailers && end {
			end = false
			defer c.afterData(i)
		}
	}
	b.Reset()
}

// afterData passes on trailers that filter i added with the last data.
func (c *Chain) afterData(i int) {
	if !c.Over() {
		c.decodeTrailers(i + 1)
	}
}

// decodeTrailers gives the request's trailers to the filters from i on.
func (c *Chain) decodeTrailers(i int) {
	for ; i < len(c.slots); i++ {
		f := &c.slots[i]
		if f.dec == nil || f.skip {
			continue
		}
		if st := f.decoding.state; st == stopAllBuffer || st == stopAllWatermark {
			return
		}
		if f.decoding.end {
			return
		}
		f.decoding.end = true
		status := f.dec.DecodeTrailers(c.RequestTrailers)
		if c.Over() {
			return
		}
		if status == http.TrailersStopIteration {
			if f.decoding.state == iterContinue {
				f.decoding.state = stopSingle
			}
			return
		}
		if f.decoding.state == stopSingle {
			c.continueDecoding(f)
			return
		}
	}
}

// ContinueDecoding implements http.FilterCallbacks.
func (f *slot) ContinueDecoding() { f.c.continueDecoding(f) }

// continueDecoding lets what filter f had stopped go on behind it.
func (c *Chain) continueDecoding(f *slot) {
	if c.Over() || f.decoding.state == iterContinue && f.decoding.headers {
		return
	}
	stoppedAll := f.decoding.state == stopAllBuffer || f.decoding.state == stopAllWatermark
	f.decoding.state = iterContinue
	end := c.RequestWhole && !c.GotTrailers
	if !f.decoding.headers {
		f.decoding.headers = true
		c.decodeHeaders(f.index+1, end && c.decoding.Len() == 0)
		if c.Over() {
			return
		}
	}
	// A filter that had stopped everything has not seen the data yet.
	from := f.index + 1
	if stoppedAll {
		from = f.index
	}
	if c.decoding.Len() > 0 {
		c.releaseDecoded(from, end)
		if c.Over() {
			return
		}
	}
	if c.GotTrailers {
		c.decodeTrailers(from)
	}
}

// releaseDecoded passes kept data on from filter i.
func (c *Chain) releaseDecoded(i int, end bool) {
	b := c.TakeBuffer()
	b.Move(c.decoding)
	for j := range c.slots {
		if d := &c.slots[j].decoding; d.paused {
			d.paused = false
			c.stream.ResumeRequest()
		}
	}
	c.decodeData(i, b, end)
	c.PutBuffer(b)
}

// passDecodedHeaders sends the head on before data that filter f injects.
func (c *Chain) passDecodedHeaders(f *slot) {
	if f.decoding.headers {
		return
	}
	f.decoding.headers = true
	c.decodeHeaders(f.index+1, false)
}

// DetailRequestTooLarge are the response-code details of the 413 to a request of
// which more had to be kept than may be.
const DetailRequestTooLarge = "request_payload_too_large"

// keepDecoded keeps data for a filter that has stopped.
func (c *Chain) keepDecoded(f *slot, b *network.Buffer, streaming bool) {
	c.decoding.Move(b)
	if c.bufferLimit == 0 || c.decoding.Len() <= int(c.bufferLimit) {
		return
	}
	if streaming {
		if !f.decoding.paused {
			f.decoding.paused = true
			c.stream.PauseRequest()
		}
		return
	}
	c.stream.RequestTooLarge()
	c.stream.Answer(413, "Payload Too Large", nil, http.NoGrpcStatus, DetailRequestTooLarge)
}
