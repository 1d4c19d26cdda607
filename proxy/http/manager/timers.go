package manager

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// refreshTimeouts applies what the route says of the stream's timeouts.
func (s *stream) refreshTimeouts() {
	r, ok := s.findRoute().(*route.Route)
	if !ok {
		return
	}
	f := r.Forward()
	if f == nil {
		return
	}
	if f.IdleTimeout != route.Unset {
		if s.idleTimeout = f.IdleTimeout; s.idleTimeout == 0 {
			s.idle.Disable()
		} else {
			s.idle.Enable(s.idleTimeout)
		}
	}
	s.refreshFlush(f)
	s.refreshDuration(f)
}

// refreshFlush bounds how long the client may take for the last bytes, where
// the codec can end one stream: by flush_timeout, else by idle_timeout.
func (s *stream) refreshFlush(f *route.Forward) {
	limit := f.FlushTimeout
	if limit == route.Unset {
		limit = f.IdleTimeout
	}
	if t, ok := s.enc.(http.FlushTimed); ok && limit != route.Unset {
		t.SetFlushTimeout(limit)
	}
}

// refreshDuration bounds the stream by grpc-timeout, when the route obeys it,
// else by the route's max_stream_duration, else by the manager's. The upstream
// of a gRPC request is told, if the route has max_stream_duration at all.
func (s *stream) refreshDuration(f *route.Forward) {
	limit, grpc := s.cfg.maxStreamDuration, http.IsGRPC(&s.request)
	if f.MaxStreamDuration != route.Unset {
		limit = f.MaxStreamDuration
	}
	asked, ok := http.ParseGrpcTimeout(s.request.Get(http.GrpcTimeout))
	if ok && grpc && f.GrpcTimeoutHeaderMax != route.Unset {
		limit = asked
		if most := f.GrpcTimeoutHeaderMax; most > 0 && limit > most { // 0 is over at once
			limit = most
		}
		limit = max(limit-f.GrpcTimeoutHeaderOffset, 0)
	} else if limit == 0 {
		s.maxLife.Disable()
		return
	}
	if grpc && f.NewTimeouts {
		http.SetGrpcTimeout(&s.request, limit)
	}
	s.maxLife.Enable(max(limit-(s.w.loop.Now()-s.info.Begin), time.Nanosecond))
}

// onIdle ends a stream on which nothing has happened for
// stream_idle_timeout.
func (s *stream) onIdle() {
	if s.Ended {
		return
	}
	s.w.stats.DownstreamRqIdleTimeout.Inc()
	s.info.SetFlag(streaminfo.StreamIdleTimeout)
	if s.ResponseStarted {
		s.info.ResponseCodeDetails = "stream_idle_timeout"
		s.Reset(http.LocalReset)
		return
	}
	// The request is late, or it is whole and the upstream is.
	code, body := 408, "stream timeout"
	if s.RequestWhole {
		code = 504
	}
	s.Answer(code, body, nil, http.NoGrpcStatus, "stream_idle_timeout")
}

// onHeadersTimeout ends a request whose head does not end.
func (s *stream) onHeadersTimeout() {
	if s.Ended {
		return
	}
	s.w.stats.DownstreamRqHeaderTimeout.Inc()
	s.Answer(408, "", nil, http.NoGrpcStatus, "request_header_timeout")
}

// onRequestTimeout ends a request that is not received whole in time.
func (s *stream) onRequestTimeout() {
	if s.Ended || s.RequestWhole {
		return
	}
	s.w.stats.DownstreamRqTimeout.Inc()
	s.Answer(408, "request timeout", nil, http.NoGrpcStatus, "request_overall_timeout")
}

// onMaxDuration ends a stream that lives too long.
func (s *stream) onMaxDuration() {
	if s.Ended {
		return
	}
	s.w.stats.DownstreamRqMaxDurationReached.Inc()
	if s.ResponseStarted {
		s.info.ResponseCodeDetails = "max_duration_timeout"
		s.Reset(http.LocalReset)
		return
	}
	code := 408
	if s.RequestWhole {
		code = 504
	}
	const deadlineExceeded = 4 // of gRPC
	s.Answer(code, "downstream duration timeout", nil, deadlineExceeded, "max_duration_timeout")
}
