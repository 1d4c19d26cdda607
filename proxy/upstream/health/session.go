package health

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// failure is what a check failed of.
type failure uint8

const (
	active  failure = iota // the host answered that it is not well
	passive                // it said so to a request
	networkFailure
	timedOut
)

// session checks one host.
type session struct {
	c        *Checker
	host     *cluster.Host
	probe    probe
	interval *event.Timer
	timeout  *event.Timer
	passed   uint32 // checks, in a row
	failed   uint32
	first    bool // no check has had a result yet
	awaited  bool // the cluster waits for its first result
	closed   bool
	// flags are what this check has found; the host has those of all checks.
	flags cluster.HealthFlag
}

// found are the flags that checks set.
const found = cluster.FailedActiveHC | cluster.DegradedActiveHC | cluster.PendingActiveHC | cluster.ExcludedViaImmediateHCFail | cluster.ActiveHCTimeout

// probe is one kind of check. It ends by session.success or session.failure.
type probe interface {
	start()
	// abandon gives a check up that takes too long.
	abandon()
	close()
}

func newSession(c *Checker, h *cluster.Host) *session {
	s := &session{c: c, host: h, first: true, flags: h.Health() & found}
	switch {
	case c.cfg.TCP != nil:
		s.probe = &tcpProbe{s: s}
	default:
		s.probe = newExchange(s)
	}
	s.interval, s.timeout = c.o.Main.NewTimer(s.check), c.o.Main.NewTimer(s.timedOut)
	if s.flags&cluster.FailedActiveHC == 0 {
		c.countHealthy(1)
	}
	// Of several checks the last one is told.
	h.OnFailNow(func() { c.o.Main.Post(s.failNow) })
	return s
}

// begin starts checking, at a random time if so configured.
func (s *session) begin() {
	if j := s.c.cfg.InitialJitter; j > 0 {
		s.interval.Enable(rand.N(j))
		return
	}
	s.check()
}

func (s *session) close() {
	s.closed = true
	s.interval.Release()
	s.timeout.Release()
	s.probe.close()
}

func (s *session) check() {
	s.c.stats.Attempt.Inc()
	s.timeout.Enable(s.c.cfg.Timeout)
	s.probe.start()
}

func (s *session) timedOut() {
	s.probe.abandon()
	s.failure(timedOut, false, 0)
}

// address is where checks go.
func (s *session) address() network.Address {
	if a := s.host.HealthCheckAddress; a.IsSet() {
		return a
	}
	return s.host.Current()
}

// set sets or clears flags of this check. It tells whether the host's have
// changed.
func (s *session) set(f cluster.HealthFlag, on bool) (changed bool) {
	if on {
		s.flags |= f
		return s.host.SetHealth(f, true)
	}
	s.flags &^= f
	for _, c := range s.c.together {
		if other := c.sessions[s.host]; other != nil {
			f &^= other.flags
		}
	}
	return s.host.SetHealth(f, false)
}

// success takes the result of a check that passed.
func (s *session) success(degraded bool, status int) {
	h, c := s.host, s.c
	s.failed = 0
	changed, pending, said := false, false, false
	if s.flags&cluster.FailedActiveHC != 0 {
		s.passed++
		if s.first || s.passed == c.cfg.HealthyThreshold {
			changed = s.set(cluster.FailedActiveHC|cluster.ActiveHCTimeout|cluster.ExcludedViaImmediateHCFail, false)
			if h.Health()&cluster.FailedActiveHC == 0 {
				h.SetHealthySince(cluster.Now())
			}
			c.countHealthy(1)
			c.log(s, func(e *logEvent) { e.AddHealthy = &firstCheck{s.first} })
			said = true
		} else {
			pending = true
		}
	}
	changed = s.set(cluster.PendingActiveHC, false) || changed
	if was := s.flags&cluster.DegradedActiveHC != 0; was != degraded {
		changed = s.set(cluster.DegradedActiveHC, degraded) && !pending || changed
		if degraded {
			c.countDegraded(1)
			c.log(s, func(e *logEvent) { e.Degraded = &struct{}{} })
		} else {
			c.countDegraded(-1)
			c.log(s, func(e *logEvent) { e.NoLongerDegraded = &struct{}{} })
		}
	}
	if c.cfg.LogSuccess && !said {
		c.log(s, func(e *logEvent) { e.Success = &struct{}{} })
	}
	c.stats.Success.Inc()
	s.result(changed)
	c.o.Passed(h)
	s.timeout.Disable()
	s.interval.Enable(c.next(true, pending))
}

// failure takes the result of a check that did not.
func (s *session) failure(f failure, retriable bool, status int) {
	pending := s.fail(f, retriable, status)
	if s.closed {
		return
	}
	s.timeout.Disable()
	s.interval.Enable(s.c.next(false, pending))
}

// fail returns true when the host stays healthy for now.
func (s *session) fail(f failure, retriable bool, status int) (pending bool) {
	h, c := s.host, s.c
	s.passed = 0
	changed := false
	offline := f == networkFailure || f == timedOut
	if s.flags&cluster.FailedActiveHC == 0 {
		// What the host says of itself is believed at once.
		s.failed++
		if !offline && !retriable || s.failed == c.cfg.UnhealthyThreshold {
			changed = s.set(cluster.FailedActiveHC, true)
			c.countHealthy(-1)
			c.log(s, func(e *logEvent) { e.Eject = &failureType{failureNames[f], status} })
		} else {
			pending = true
		}
	}
	if s.flags&cluster.FailedActiveHC != 0 {
		changed = s.set(cluster.ActiveHCTimeout, f == timedOut) || changed
	}
	changed = s.set(cluster.PendingActiveHC, false) || changed
	if s.first || c.cfg.LogFailures {
		c.log(s, func(e *logEvent) { e.Failure = &failureEvent{failureNames[f], s.first, status} })
	}
	c.stats.Failure.Inc()
	switch {
	case offline:
		c.stats.NetworkFailure.Inc()
	case f == passive:
		c.stats.PassiveFailure.Inc()
	}
	s.result(changed)
	if changed && s.flags&cluster.FailedActiveHC != 0 {
		c.o.Failed(h)
	}
	return pending
}

func (s *session) result(changed bool) {
	s.first = false
	if changed {
		s.c.o.Changed()
	}
	s.c.arrived(s)
}

// failNow is a response with x-envoy-immediate-health-check-fail to a request.
func (s *session) failNow() {
	if s.closed {
		return
	}
	s.set(cluster.ExcludedViaImmediateHCFail, true)
	s.fail(passive, false, 0)
}
