package manager

import (
	"github.com/weirproxy/weir/proxy/network"
)

// RecreateStream implements filterchain.Stream.
func (s *stream) RecreateStream(body *network.Buffer) {
	if s.Ended {
		return
	}
	if s.redirected == nil {
		s.redirected = s.w.loop.NewBuffer()
	}
	s.redirected.Move(body)
	// What calls this is about to be destroyed.
	id := s.id
	s.w.loop.Post(func() {
		if s.id == id && !s.Ended {
			s.recreate()
		}
	})
}

// recreate passes the request, received whole and changed by a redirect,
// through new filters.
func (s *stream) recreate() {
	s.restartInfo()
	s.RestartRequest()
	clear(s.watermarks)
	s.watermarks = s.watermarks[:0]
	s.response.Reset()
	s.responseTrailers.Reset()
	s.routeKnown = false
	s.Touch()
	s.chooseFilters()
	if s.Over() {
		return
	}
	s.refreshTimeouts()
	s.trace()
	hasBody := s.redirected.Len() > 0
	s.DecodeHead(!hasBody && !s.GotTrailers)
	if hasBody && !s.Over() {
		b := s.TakeBuffer()
		b.Move(s.redirected)
		s.info.BytesReceived = 2 * uint64(b.Len()) // as Envoy: as it is handed over, and as it passes the filters
		s.DecodeBody(b, !s.GotTrailers)
		s.PutBuffer(b)
	}
	if s.GotTrailers && !s.Over() {
		s.DecodeTail()
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
