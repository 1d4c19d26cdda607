package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// Encode1xxHeaders implements http.RouterCallbacks.
func (f *slot) Encode1xxHeaders(h *http.HeaderMap) {
	s := f.s
	if s.ended || s.responseStarted || !s.cfg.proxy100Continue && h.Get(http.Status) == "100" {
		return
	}
	s.enc.Encode1xxHeaders(h)
}

// EncodeHeaders implements http.RouterCallbacks: a response enters the chain
// at its end.
func (f *slot) EncodeHeaders(_ *http.HeaderMap, end bool, details string) {
	s := f.s
	if details != "" {
		s.info.ResponseCodeDetails = details
	}
	s.responseStarted = true
	s.encodeHeaders(len(s.slots)-1, end)
}

// EncodeData implements http.RouterCallbacks.
func (f *slot) EncodeData(b *network.Buffer, end bool) {
	f.s.encodeData(len(f.s.slots)-1, b, end)
}

// EncodeTrailers implements http.RouterCallbacks.
func (f *slot) EncodeTrailers(*http.HeaderMap) {
	f.s.hasRespTrailers = true
	f.s.encodeTrailers(len(f.s.slots) - 1)
}

// encodeHeaders gives the response's head to the filters from i backwards,
// and then to the codec.
func (s *stream) encodeHeaders(i int, end bool) {
	if s.ended {
		return
	}
	for ; i >= 0; i-- {
		f := &s.slots[i]
		if f.enc == nil || f.skip {
			f.encoding.headers = true
			continue
		}
		last := end && s.encoding.Len() == 0 && !s.addedRespTrailers
		f.encoding.end = last
		s.encodingEnd = end
		status := f.enc.EncodeHeaders(&s.response, last)
		s.encodingEnd = false
		if s.ended {
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
	last := end && s.encoding.Len() == 0 && !s.addedRespTrailers
	s.writeHeaders(last)
	if s.ended || last {
		return
	}
	if end {
		// Filters have given a response without a body one.
		if s.encoding.Len() > 0 {
			b := s.takeBuffer()
			b.Move(s.encoding)
			s.writeData(b, !s.addedRespTrailers)
			s.putBuffer(b)
		}
		if s.addedRespTrailers && !s.ended {
			s.writeTrailers()
		}
	}
}

// encodeData gives body bytes to the filters from i backwards.
func (s *stream) encodeData(i int, b *network.Buffer, end bool) {
	if s.ended {
		b.Reset()
		return
	}
	s.touch()
	for ; i >= 0; i-- {
		f := &s.slots[i]
		if f.enc == nil || f.skip {
			continue
		}
		if st := f.encoding.state; st == stopAllBuffer || st == stopAllWatermark {
			f.encoding.end = f.encoding.end || end
			s.keepEncoded(f, b, st == stopAllWatermark)
			return
		}
		s.encodingEnd = end
		status := f.enc.EncodeData(b, end)
		s.encodingEnd = false
		f.encoding.end = end
		if s.ended {
			b.Reset()
			return
		}
		switch status {
		case http.DataStopAndBuffer:
			f.encoding.state = stopSingle
			s.keepEncoded(f, b, false)
			return
		case http.DataStopAndWatermark:
			f.encoding.state = stopSingle
			s.keepEncoded(f, b, true)
			return
		case http.DataStopNoBuffer:
			f.encoding.state = stopSingle
			b.Reset()
			return
		}
		if f.encoding.state == stopSingle {
			s.encoding.Move(b)
			s.continueEncoding(f)
			return
		}
	}
	s.writeData(b, end && !s.addedRespTrailers)
	if end && s.addedRespTrailers && !s.ended {
		s.writeTrailers()
	}
}

// encodeTrailers gives the response's trailers to the filters from i
// backwards.
func (s *stream) encodeTrailers(i int) {
	if s.ended {
		return
	}
	s.touch()
	for ; i >= 0; i-- {
		f := &s.slots[i]
		if f.enc == nil || f.skip {
			continue
		}
		f.encoding.end = true
		if st := f.encoding.state; st == stopAllBuffer || st == stopAllWatermark {
			return
		}
		status := f.enc.EncodeTrailers(&s.responseTrailers)
		if s.ended {
			return
		}
		if status == http.TrailersStopIteration {
			if f.encoding.state == iterContinue {
				f.encoding.state = stopSingle
			}
			return
		}
		if f.encoding.state == stopSingle {
			s.continueEncoding(f)
			return
		}
	}
	s.writeTrailers()
}

// ContinueEncoding implements http.FilterCallbacks.
func (f *slot) ContinueEncoding() { f.s.continueEncoding(f) }

func (s *stream) continueEncoding(f *slot) {
	if s.ended || f.encoding.state == iterContinue && f.encoding.headers {
		return
	}
	stoppedAll := f.encoding.state == stopAllBuffer || f.encoding.state == stopAllWatermark
	f.encoding.state = iterContinue
	end := f.encoding.end && !s.hasRespTrailers
	if !f.encoding.headers {
		f.encoding.headers = true
		s.encodeHeaders(f.index-1, end && s.encoding.Len() == 0)
		if s.ended {
			return
		}
	}
	from := f.index - 1
	if stoppedAll {
		from = f.index
	}
	if s.encoding.Len() > 0 {
		b := s.takeBuffer()
		b.Move(s.encoding)
		if f.encoding.paused {
			f.encoding.paused = false
			s.OnBelowWriteBufferLowWatermark()
		}
		s.encodeData(from, b, end)
		s.putBuffer(b)
		if s.ended {
			return
		}
	}
	if s.hasRespTrailers && f.encoding.end {
		s.encodeTrailers(from)
	}
}

func (s *stream) passEncodedHeaders(f *slot) {
	if f.encoding.headers {
		return
	}
	f.encoding.headers = true
	s.encodeHeaders(f.index-1, false)
}

// keepEncoded keeps response data for a filter that has stopped.
func (s *stream) keepEncoded(f *slot, b *network.Buffer, streaming bool) {
	s.encoding.Move(b)
	if s.bufferLimit == 0 || s.encoding.Len() <= int(s.bufferLimit) {
		return
	}
	if streaming {
		if !f.encoding.paused {
			f.encoding.paused = true
			s.OnAboveWriteBufferHighWatermark()
		}
		return
	}
	s.w.stats.RsTooLarge.Inc()
	if f.encoding.headers {
		s.info.ResponseCodeDetails = "response_payload_too_large"
		s.resetByProxy(http.LocalReset)
		return
	}
	s.encoding.Reset()
	s.sendLocalReply(500, "Internal Server Error", nil, http.NoGrpcStatus, "response_payload_too_large")
}

// writeHeaders puts the last touches to the response's head and encodes it.
func (s *stream) writeHeaders(end bool) {
	s.touch()
	s.headersWritten = true
	s.finishResponse(end)
	s.info.FirstDownstreamTxByte = s.m.conn.Loop().Now()
	s.enc.EncodeHeaders(&s.response, end)
	if end && !s.ended {
		s.endStream()
	}
}

func (s *stream) writeData(b *network.Buffer, end bool) {
	s.info.BytesSent += uint64(b.Len())
	s.enc.EncodeData(b, end)
	if end && !s.ended {
		s.endStream()
	}
}

func (s *stream) writeTrailers() {
	s.enc.EncodeTrailers(&s.responseTrailers)
	if !s.ended {
		s.endStream()
	}
}
