package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// onIdle ends a stream on which nothing has happened for
// stream_idle_timeout.
func (s *stream) onIdle() {
	if s.ended {
		return
	}
	s.w.stats.DownstreamRqIdleTimeout.Inc()
	s.info.SetFlag(streaminfo.StreamIdleTimeout)
	if s.responseStarted {
		s.info.ResponseCodeDetails = "stream_idle_timeout"
		s.resetByProxy(http.LocalReset)
		return
	}
	// The request is late, or it is whole and the upstream is.
	code, body := 408, "stream timeout"
	if s.remoteComplete {
		code = 504
	}
	s.sendLocalReply(code, body, nil, http.NoGrpcStatus, "stream_idle_timeout")
}

// onHeadersTimeout ends a request whose head does not end.
func (s *stream) onHeadersTimeout() {
	if s.ended {
		return
	}
	s.w.stats.DownstreamRqHeaderTimeout.Inc()
	s.sendLocalReply(408, "", nil, http.NoGrpcStatus, "request_header_timeout")
}

// onRequestTimeout ends a request that is not received whole in time.
func (s *stream) onRequestTimeout() {
	if s.ended || s.remoteComplete {
		return
	}
	s.w.stats.DownstreamRqTimeout.Inc()
	s.sendLocalReply(408, "request timeout", nil, http.NoGrpcStatus, "request_overall_timeout")
}

// onMaxDuration ends a stream that lives too long.
func (s *stream) onMaxDuration() {
	if s.ended {
		return
	}
	s.w.stats.DownstreamRqMaxDurationReached.Inc()
	s.info.SetFlag(streaminfo.DurationTimeout)
	if s.responseStarted {
		s.info.ResponseCodeDetails = "max_duration_timeout"
		s.resetByProxy(http.LocalReset)
		return
	}
	code := 408
	if s.remoteComplete {
		code = 504
	}
	s.sendLocalReply(code, "downstream duration timeout", nil, http.NoGrpcStatus, "max_duration_timeout")
}
