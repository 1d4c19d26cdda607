package server

import (
	"time"

	"github.com/weirproxy/weir/proxy/admin"
)

// drainAndEnd ends the process in order: no new connections, those that are
// open are told to end and waited for, at most for --drain-time-s. A second
// call ends at once.
func (s *server) drainAndEnd() {
	if s.state.Load() == admin.Draining {
		s.end()
		return
	}
	s.state.Store(admin.Draining)
	s.serverSt.For(0).Live.Set(0)
	s.listeners.Stop(false)
	if s.node != nil {
		s.node.client.Draining()
	}
	deadline := time.Now().Add(s.o.DrainTime)
	// No worker accepts any more once all were asked: only then do the
	// connections that are counted grow no more.
	s.listeners.DrainNow(func() { s.pollDrained(deadline, 1) })
}

// drainPoll is how often the open connections are counted; each drainAgain
// polls those that are left are asked to end, for some came by since.
const (
	drainPoll  = 20 * time.Millisecond
	drainAgain = 25
)

func (s *server) endWhenDrained(deadline time.Time, polls int) {
	if n := s.listeners.Connections(); n == 0 || time.Now().After(deadline) {
		if n > 0 {
			s.main.Warn("drain time is over, closing connections", "connections", n)
		}
		s.end()
		return
	}
	if polls%drainAgain == 0 {
		s.listeners.DrainNow(nil)
	}
	s.pollDrained(deadline, polls+1)
}

func (s *server) pollDrained(deadline time.Time, polls int) {
	s.loops[0].NewTimer(func() { s.endWhenDrained(deadline, polls) }).Enable(drainPoll)
}

// unready is what the start still waits for; nothing once the state says so.
func (s *server) unready() []admin.UnreadyTargets {
	switch s.state.Load().(admin.State) {
	case admin.PreInitializing:
		return []admin.UnreadyTargets{{Name: "init manager Server", TargetNames: []string{"clusters"}}}
	case admin.Initializing:
		return []admin.UnreadyTargets{{Name: "init manager Server", TargetNames: []string{"listeners"}}}
	}
	return nil
}

// stateNumber is the state as server.state shows it.
func (s *server) stateNumber() int64 {
	switch s.state.Load().(admin.State) {
	case admin.Live:
		return 0
	case admin.Draining:
		return 1
	case admin.PreInitializing:
		return 2
	}
	return 3
}
