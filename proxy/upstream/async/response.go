package async

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// ResponseHeaders implements http.ResponseDecoder.
func (s *Stream) ResponseHeaders() *http.HeaderMap { return &s.response }

// ResponseTrailers implements http.ResponseDecoder.
func (s *Stream) ResponseTrailers() *http.HeaderMap { return &s.trailers }

// Decode1xxHeaders implements http.ResponseDecoder: interim responses mean
// nothing here.
func (s *Stream) Decode1xxHeaders() {}

// DecodeHeaders implements http.ResponseDecoder.
func (s *Stream) DecodeHeaders(end bool) {
	if s.done {
		return
	}
	s.answered = true
	code := status(&s.response)
	if s.retries != nil && s.retries(code, &s.response) {
		s.cluster.Stats().RetryRq.Inc(code)
		s.finish(!end || !s.sentAll)
		return
	}
	s.charge(code)
	if hs := s.host.Stats(s.loop.Worker); code >= 500 {
		hs.RqError++
	} else {
		hs.RqSuccess++
	}
	if s.sentAll {
		s.response.SetInt(http.XEnvoyUpstreamServiceTime, int64((s.loop.Now()-s.began)/time.Millisecond))
	}
	if end {
		s.complete()
	}
	if s.cb != nil {
		s.cb.OnHeaders(&s.response, end)
	}
}

// DecodeData implements http.StreamDecoder.
func (s *Stream) DecodeData(b *network.Buffer, end bool) {
	if s.done {
		b.Reset()
		return
	}
	if end {
		s.complete()
	}
	if s.cb != nil {
		s.cb.OnData(b, end)
	}
	b.Reset()
}

// DecodeTrailers implements http.StreamDecoder.
func (s *Stream) DecodeTrailers(t *http.HeaderMap) {
	if s.done {
		return
	}
	s.complete()
	if s.cb != nil {
		s.cb.OnTrailers(t)
	}
}

// complete is called when the response is received whole. An upstream that
// answers before it has the whole request gets no more of it.
func (s *Stream) complete() {
	if s.sentAll {
		s.cluster.Stats().UpstreamRqTime.Record(uint64((s.loop.Now() - s.began) / time.Millisecond))
	}
	s.finish(!s.sentAll)
}

// status is a response's status as a number, 0 when there is none.
func status(h *http.HeaderMap) int {
	v := h.Get(http.Status)
	if len(v) != 3 {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}

var (
	_ pool.StreamCallbacks = (*Stream)(nil)
	_ http.ResponseDecoder = (*Stream)(nil)
	_ http.StreamCallbacks = (*Stream)(nil)
)
