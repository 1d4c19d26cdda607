package health

import (
	"math/rand/v2"
	"net/netip"

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
}

// probe is one kind of check. It ends by session.success or session.failure.
type probe interface {
	start()
	// abandon gives a check up that takes too long.
	abandon()
	close()
}

func newSession(c *Checker, h *cluster.Host) *session {
	s := &session{c: c, host: h, first: true}
	switch {
	case c.cfg.TCP != nil:
		s.probe = &tcpProbe{s: s}
	default:
		s.probe = newExchange(s)
	}
	s.interval, s.timeout = c.o.Main.NewTimer(s.check), c.o.Main.NewTimer(s.timedOut)
	if h.Health()&cluster.FailedActiveHC == 0 {
		c.countHealthy(1)
	}
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
	a := s.host.Current()
	if p := s.c.cfg.AltPort; p != 0 && !a.IsPipe() {
		a = network.IPAddress(netip.AddrPortFrom(a.Addr(), p))
	}
	return a
}

// success takes the result of a check that passed.
func (s *session) success(degraded bool, status int) {
	h, c := s.host, s.c
	s.failed = 0
	changed, pending, said := false, false, false
	if h.Health()&cluster.FailedActiveHC != 0 {
		s.passed++
		if s.first || s.passed == c.cfg.HealthyThreshold {
			h.SetHealth(cluster.FailedActiveHC|cluster.ActiveHCTimeout|cluster.ExcludedViaImmediateHCFail, false)
			h.SetHealthySince(cluster.Now())
			c.countHealthy(1)
			c.log(s, func(e *logEvent) { e.AddHealthy = &firstCheck{s.first} })
			changed, said = true, true
		} else {
			pending = true
		}
	}
	changed = h.SetHealth(cluster.PendingActiveHC, false) || changed
	if h.SetHealth(cluster.DegradedActiveHC, degraded) {
		changed = changed || !pending
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
	if h.Health()&cluster.FailedActiveHC == 0 {
		// What the host says of itself is believed at once.
		s.failed++
		if !offline && !retriable || s.failed == c.cfg.UnhealthyThreshold {
			h.SetHealth(cluster.FailedActiveHC, true)
			c.countHealthy(-1)
			c.log(s, func(e *logEvent) { e.Eject = &failureType{failureNames[f]} })
			changed = true
		} else {
			pending = true
		}
	}
	if h.Health()&cluster.FailedActiveHC != 0 {
		changed = h.SetHealth(cluster.ActiveHCTimeout, f == timedOut) || changed
	}
	changed = h.SetHealth(cluster.PendingActiveHC, false) || changed
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
	if changed && h.Health()&cluster.FailedActiveHC != 0 {
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
	s.host.SetHealth(cluster.ExcludedViaImmediateHCFail, true)
	s.fail(passive, false, 0)
}
