package cluster

import "sync/atomic"

// Monitor counts how a host's requests end, for outlier detection. Workers
// count; when it is one too many they tell main, which decides. All methods
// may be called on a nil Monitor: the cluster has no outlier detection then.
type Monitor struct {
	Host   *Host
	limits *MonitorLimits
	report func(*Monitor, ErrorKind)
	// told is that main was told of a response that says that the host is
	// degraded, and has not forgotten it yet.
	told atomic.Bool

	consecutive [NumErrorKinds]atomic.Uint32
	rates       []rates // by owner
}

// MonitorLimits are the counts of consecutive errors to report, which main may
// change, and what counts.
type MonitorLimits struct {
	Consecutive [NumErrorKinds]atomic.Uint32
	// Split has failures to reach the host (local origin) counted apart from
	// its error responses, and not as 5xx.
	Split bool
	// Degraded has heeded what responses say of the host (x-envoy-degraded).
	Degraded func(*Monitor) // nil: it is not
}

// ErrorKind is what consecutive errors are of.
type ErrorKind uint8

const (
	ServerErrors  ErrorKind = iota // 5xx
	GatewayErrors                  // 502, 503, 504
	LocalErrors                    // local origin
	NumErrorKinds
)

// RateKind is what success rates are of.
type RateKind uint8

const (
	ExternalOrigin RateKind = iota
	LocalOrigin
	numRateKinds
)

// rates are one owner's counts since they were last taken; only that owner
// adds to them.
type rates struct {
	n [numRateKinds]struct{ ok, all atomic.Uint32 }
	_ [48]byte // a cache line for each owner
}

// NewMonitor makes the monitor of a host, for as many owners. report is called
// on the worker that counted to the limit.
func NewMonitor(h *Host, l *MonitorLimits, owners int, report func(*Monitor, ErrorKind)) *Monitor {
	return &Monitor{Host: h, limits: l, report: report, rates: make([]rates, owners)}
}

// Response counts a response by its status. owner is the worker.
func (m *Monitor) Response(owner, code int) {
	if m == nil {
		return
	}
	failed := code >= 500 && code < 600
	m.rate(owner, ExternalOrigin, !failed)
	if !failed {
		m.Reset(ServerErrors)
		m.Reset(GatewayErrors)
		return
	}
	if code >= 502 && code <= 504 {
		m.failed(GatewayErrors)
	} else {
		m.Reset(GatewayErrors)
	}
	m.failed(ServerErrors)
}

// SaysDegraded takes in that a response said that the host is degraded.
func (m *Monitor) SaysDegraded() {
	if m != nil && m.limits.Degraded != nil && !m.told.Swap(true) {
		m.limits.Degraded(m)
	}
}

// ForgetDegraded has the next response that says so told again. Main only.
func (m *Monitor) ForgetDegraded() { m.told.Store(false) }

// Connected counts that a connection could be had. final tells that no
// response will follow, as for TCP.
func (m *Monitor) Connected(owner int, final bool) {
	switch {
	case m == nil:
	case m.limits.Split:
		m.rate(owner, LocalOrigin, true)
		m.Reset(LocalErrors)
	case final:
		m.Response(owner, 200)
	}
}

// Failed counts a connection that failed, or a request that was reset.
func (m *Monitor) Failed(owner int) { m.local(owner, 503) }

// TimedOut counts a request without an answer in time; code is the status
// that stands for it.
func (m *Monitor) TimedOut(owner, code int) { m.local(owner, code) }

func (m *Monitor) local(owner, code int) {
	switch {
	case m == nil:
	case m.limits.Split:
		m.rate(owner, LocalOrigin, false)
		m.failed(LocalErrors)
	default:
		m.Response(owner, code)
	}
}

func (m *Monitor) rate(owner int, k RateKind, ok bool) {
	n := &m.rates[owner].n[k]
	n.all.Add(1)
	if ok {
		n.ok.Add(1)
	}
}

func (m *Monitor) failed(k ErrorKind) {
	if m.consecutive[k].Add(1) == m.limits.Consecutive[k].Load() {
		m.report(m, k)
	}
}

// Reset begins to count consecutive errors anew.
func (m *Monitor) Reset(k ErrorKind) {
	if m.consecutive[k].Load() != 0 { // most often it is: leave the cache line alone
		m.consecutive[k].Store(0)
	}
}

// TakeRate returns the counts since the last call, over all owners. Main only.
func (m *Monitor) TakeRate(k RateKind) (ok, all uint64) {
	for i := range m.rates {
		n := &m.rates[i].n[k]
		all += uint64(n.all.Swap(0))
		ok += uint64(n.ok.Swap(0))
	}
	return min(ok, all), all
}
