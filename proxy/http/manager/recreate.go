package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// RecreateStream implements http.RouterCallbacks.
func (f *slot) RecreateStream(body *network.Buffer) {
	s := f.s
	if s.ended {
		return
	}
	if s.redirected == nil {
		s.redirected = s.w.loop.NewBuffer()
	}
	s.redirected.Move(body)
	// What calls this is about to be destroyed.
	id := s.id
	s.w.loop.Post(func() {
		if s.id == id && !s.ended {
			s.recreate()
		}
	})
}

// recreate passes the request, received whole and changed by a redirect,
// through new filters.
func (s *stream) recreate() {
	for i := range s.slots {
		s.slots[i].filter.OnDestroy()
	}
	for i := range s.slots {
		s.renew(&s.slots[i])
	}
	clear(s.watermarks)
	s.watermarks = s.watermarks[:0]
	s.decoding.Reset()
	s.encoding.Reset()
	s.response.Reset()
	s.responseTrailers.Reset()
	s.routeKnown, s.hasRespTrailers, s.addedRespTrailers, s.addedReqTrailers = false, false, false, false
	s.info.ResponseCodeDetails = ""
	s.touch()
	s.chooseFilters()
	if s.ended || s.localReply {
		return
	}
	s.refreshTimeouts()
	hasBody := s.redirected.Len() > 0
	s.decodeHeaders(0, !hasBody && !s.gotTrailers)
	if hasBody && !s.ended && !s.localReply {
		b := s.takeBuffer()
		b.Move(s.redirected)
		s.decodeData(0, b, !s.gotTrailers)
		s.putBuffer(b)
	}
	if s.gotTrailers && !s.ended && !s.localReply {
		s.decodeTrailers(0)
	}
}

// renew gives a slot a filter for another request.
func (s *stream) renew(f *slot) {
	f.resetState()
	if r, ok := f.filter.(http.Recycler); ok {
		r.Recycle()
	} else {
		f.set(s.cfg.filters[f.index].factory.New(s.w.index, f))
	}
}
