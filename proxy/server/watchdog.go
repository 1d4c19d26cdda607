package server

import (
	"time"
)

// stuckTurn is how long a turn of a loop may take before it is reported
// (Envoy's watchdog megamiss_timeout).
const stuckTurn = time.Second

// watchdog reports loops whose turn takes too long.
func (s *server) watchdog(stop <-chan struct{}) {
	t := time.NewTicker(stuckTurn / 2)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		for _, l := range s.loops {
			if d := l.Stuck(); d > stuckTurn {
				s.main.Warn("a loop is stuck", "loop", l.Name(), "for", d.String())
				s.stats.Counter("server." + l.Name() + ".watchdog_mega_miss").Inc()
			}
		}
	}
}
