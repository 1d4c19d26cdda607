package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// RecreateStream implements http.FilterCallbacks.
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
	s.restartInfo()
	for i := range s.slots {
		s.renew(&s.slots[i])
	}
	clear(s.watermarks)
	s.watermarks = s.watermarks[:0]
	s.decoding.Reset()
	s.encoding.Reset()
	s.response.Reset()
	s.responseTrailers.Reset()
	s.responseStarted, s.localReply = false, false
	s.routeKnown, s.hasRespTrailers, s.addedRespTrailers, s.addedReqTrailers = false, false, false, false
	s.touch()
	s.chooseFilters()
	if s.ended || s.localReply {
		return
	}
	s.refreshTimeouts()
	s.trace()
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

// restartInfo ends the account of the request so far and begins another, as
// Envoy does: each redirect is logged.
func (s *stream) restartInfo() {
	i, now := &s.info, s.w.loop.Now()
	i.ResponseCodeDetails, i.End = "internal_redirect", now
	s.endInfo()
	old := *i
	i.Reset()
	i.InternalRedirects, i.RedirectRoutes, i.RequestID, i.Protocol = old.InternalRedirects, old.RedirectRoutes, old.RequestID, old.Protocol
	i.LastDownstreamRxByte = now
	s.startInfo()
	i.DownstreamRemote, i.FilterState = old.DownstreamRemote, old.FilterState
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
