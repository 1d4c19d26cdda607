package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// decodeHeaders gives the request's head to the filters from i on.
func (s *stream) decodeHeaders(i int, end bool) {
	for ; i < len(s.slots); i++ {
		f := &s.slots[i]
		if f.dec == nil || f.skip {
			f.decoding.headers = true
			continue
		}
		// A filter before may have added a body to a request without one.
		last := end && s.decoding.Len() == 0 && !s.addedReqTrailers
		f.decoding.end = last
		s.decodingEnd = end
		status := f.dec.DecodeHeaders(&s.request, last)
		s.decodingEnd = false
		if s.ended || s.localReply {
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
		if end && s.decoding.Len() > 0 && i+1 < len(s.slots) {
			// The added body follows the head through the rest of the chain.
			s.decodeHeaders(i+1, true)
			if !s.ended && !s.localReply && s.decoding.Len() > 0 {
				s.releaseDecoded(i+1, true)
			}
			return
		}
	}
}

// decodeData gives body bytes to the filters from i on.
func (s *stream) decodeData(i int, b *network.Buffer, end bool) {
	for ; i < len(s.slots); i++ {
		f := &s.slots[i]
		if f.dec == nil || f.skip {
			continue
		}
		if st := f.decoding.state; st == stopAllBuffer || st == stopAllWatermark {
			s.keepDecoded(f, b, st == stopAllWatermark)
			return
		}
		if f.decoding.end {
			return
		}
		f.decoding.end = end && !s.gotTrailers
		s.decodingEnd = end
		status := f.dec.DecodeData(b, end)
		s.decodingEnd = false
		if s.ended || s.localReply {
			b.Reset()
			return
		}
		switch status {
		case http.DataStopAndBuffer:
			f.decoding.state = stopSingle
			s.keepDecoded(f, b, false)
			return
		case http.DataStopAndWatermark:
			f.decoding.state = stopSingle
			s.keepDecoded(f, b, true)
			return
		case http.DataStopNoBuffer:
			f.decoding.state = stopSingle
			b.Reset()
			return
		}
		if f.decoding.state == stopSingle {
			// The filter lets go of all that it had stopped.
			s.decoding.Move(b)
			s.continueDecoding(f)
			return
		}
		if s.addedReqTrailers && end {
			end = false
			defer s.afterData(i)
		}
	}
	b.Reset()
}

// afterData passes on trailers that filter i added with the last data.
func (s *stream) afterData(i int) {
	if !s.ended && !s.localReply {
		s.decodeTrailers(i + 1)
	}
}

// decodeTrailers gives the request's trailers to the filters from i on.
func (s *stream) decodeTrailers(i int) {
	for ; i < len(s.slots); i++ {
		f := &s.slots[i]
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
		status := f.dec.DecodeTrailers(&s.requestTrailers)
		if s.ended || s.localReply {
			return
		}
		if status == http.TrailersStopIteration {
			if f.decoding.state == iterContinue {
				f.decoding.state = stopSingle
			}
			return
		}
		if f.decoding.state == stopSingle {
			s.continueDecoding(f)
			return
		}
	}
}

// ContinueDecoding implements http.FilterCallbacks.
func (f *slot) ContinueDecoding() { f.s.continueDecoding(f) }

// continueDecoding lets what filter f had stopped go on behind it.
func (s *stream) continueDecoding(f *slot) {
	if s.ended || s.localReply || f.decoding.state == iterContinue && f.decoding.headers {
		return
	}
	stoppedAll := f.decoding.state == stopAllBuffer || f.decoding.state == stopAllWatermark
	f.decoding.state = iterContinue
	end := s.remoteComplete && !s.gotTrailers
	if !f.decoding.headers {
		f.decoding.headers = true
		s.decodeHeaders(f.index+1, end && s.decoding.Len() == 0)
		if s.ended || s.localReply {
			return
		}
	}
	// A filter that had stopped everything has not seen the data yet.
	from := f.index + 1
	if stoppedAll {
		from = f.index
	}
	if s.decoding.Len() > 0 {
		s.releaseDecoded(from, end)
		if s.ended || s.localReply {
			return
		}
	}
	if s.gotTrailers {
		s.decodeTrailers(from)
	}
}

// releaseDecoded passes kept data on from filter i.
func (s *stream) releaseDecoded(i int, end bool) {
	b := s.takeBuffer()
	b.Move(s.decoding)
	for j := range s.slots {
		if d := &s.slots[j].decoding; d.paused {
			d.paused = false
			s.resumeRequest()
		}
	}
	s.decodeData(i, b, end)
	s.putBuffer(b)
}

// passDecodedHeaders sends the head on before data that filter f injects.
func (s *stream) passDecodedHeaders(f *slot) {
	if f.decoding.headers {
		return
	}
	f.decoding.headers = true
	s.decodeHeaders(f.index+1, false)
}

// keepDecoded keeps data for a filter that has stopped.
func (s *stream) keepDecoded(f *slot, b *network.Buffer, streaming bool) {
	s.decoding.Move(b)
	if s.bufferLimit == 0 || s.decoding.Len() <= int(s.bufferLimit) {
		return
	}
	if streaming {
		if !f.decoding.paused {
			f.decoding.paused = true
			s.pauseRequest()
		}
		return
	}
	s.w.stats.DownstreamRqTooLarge.Inc()
	s.sendLocalReply(413, "Payload Too Large", nil, http.NoGrpcStatus, "request_payload_too_large")
}

// takeBuffer and putBuffer lend a scratch buffer; nested calls get further
// ones.
func (s *stream) takeBuffer() *network.Buffer {
	w := s.w
	if n := len(w.scratch); n > 0 {
		b := w.scratch[n-1]
		w.scratch = w.scratch[:n-1]
		return b
	}
	return w.loop.NewBuffer()
}

func (s *stream) putBuffer(b *network.Buffer) {
	b.Reset()
	s.w.scratch = append(s.w.scratch, b)
}
