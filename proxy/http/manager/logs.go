package manager

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// accessLogMoments are when requests are logged besides at their end.
type accessLogMoments struct {
	logOnStart  bool
	logOnTunnel bool
	logEvery    time.Duration // 0: never
}

func (s *stream) logAccess(t streaminfo.LogType) {
	if len(s.cfg.accessLogs) == 0 {
		return
	}
	s.info.LogType = t
	if m, ok := s.enc.(http.Metered); ok {
		b := m.Bytes()
		s.info.WireBytesReceived, s.info.WireBytesSent, s.info.HeaderBytesSent = b.Received, b.Sent, b.HeaderSent
		if b.HeaderReceived > 0 {
			s.info.HeaderBytesReceived = b.HeaderReceived
		}
	} else if s.ResponseStarted {
		s.info.HeaderBytesSent = uint64(s.response.Bytes())
	}
	c := s.formatContext()
	for _, l := range s.cfg.accessLogs {
		l.Log(s.w.index, c)
	}
}

// logStart logs a request whose head has come, and begins to log it again and
// again, as configured.
func (s *stream) logStart() {
	if s.cfg.logEvery > 0 {
		s.periodic.Enable(s.cfg.logEvery)
	}
	if s.cfg.logOnStart {
		s.logAccess(streaminfo.LogDownstreamStart)
	}
}

func (s *stream) logPeriodic() {
	if s.Ended {
		return
	}
	s.logAccess(streaminfo.LogDownstreamPeriodic)
	s.periodic.Enable(s.cfg.logEvery)
}

// logTunnel logs that a tunnel stands.
func (s *stream) logTunnel() {
	if s.cfg.logOnTunnel {
		s.logAccess(streaminfo.LogDownstreamTunnelEstablished)
	}
}

// fieldBytes is what Envoy counts as a request's header bytes: names, values
// and three bytes a line, without the start line.
func fieldBytes(h *http.HeaderMap) uint64 {
	n, lines := h.Bytes(), h.Len()
	for _, id := range [...]http.HeaderID{http.Method, http.Path, http.Scheme, http.Protocol} {
		if h.Has(id) {
			n -= len(id.Name()) + len(h.Get(id))
			lines--
		}
	}
	if h.Has(http.Authority) {
		n -= len(":authority") - len("host")
	}
	return uint64(n + 3*lines)
}
