package manager

import (
	"time"

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
	if s.ended {
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
