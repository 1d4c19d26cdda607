package overload

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/weirproxy/weir/proxy/stats"
)

// action is something to do, or not to do, under load.
type action int

const (
	stopAcceptingRequests action = iota
	stopAcceptingConnections
	rejectIncomingConnections
	disableKeepAlive
	shrinkHeap
	reduceTimeouts
	closeIdleConnections // HTTP/3 ones only, which weir does not have
	numActions
)

// names are Envoy's.
var names = [numActions]string{
	"envoy.overload_actions.stop_accepting_requests",
	"envoy.overload_actions.stop_accepting_connections",
	"envoy.overload_actions.reject_incoming_connections",
	"envoy.overload_actions.disable_http_keepalive",
	"envoy.overload_actions.shrink_heap",
	"envoy.overload_actions.reduce_timeouts",
	"envoy.overload_actions.close_idle_http_connections",
}

// monitor measures a resource.
type monitor struct {
	name     string
	pressure func() (float64, error) // 0 is idle, 1 is full
	gauge    *stats.SharedGauge
	failed   *stats.SharedCounter
	last     float64
}

// refreshStats are at "overload.".
type refreshStats struct {
	Delay stats.Histogram `stat:"refresh_interval_delay"` // from one refresh to the next, ms
}

// Manager is the overload manager.
type Manager struct {
	delay *stats.Histogram // main's
	post  func(func())

	interval time.Duration
	log      *slog.Logger
	monitors []*monitor
	actions  [numActions]state
	active   [numActions]*stats.SharedGauge
	shrunk   *stats.SharedCounter
	floors   [numTimeouts]floor
	points   [numPoints]point

	maxConnections uint64 // of all listeners together; 0: no such monitor
	connections    func() int64
}

func (m *Manager) value(a action) float64 {
	if m == nil {
		return 0
	}
	return m.actions[a].value()
}

// StopsAcceptingRequests tells that a request is to be answered 503.
func (m *Manager) StopsAcceptingRequests() bool {
	return m.value(stopAcceptingRequests) >= 1 || m.Sheds(DecodeHeaders)
}

// StopsAcceptingConnections tells that connections are to wait in the kernel.
func (m *Manager) StopsAcceptingConnections() bool { return m.value(stopAcceptingConnections) >= 1 }

// RejectsConnection tells that a new connection is to be closed at once: all
// of them when the action is saturated, a share of them before.
func (m *Manager) RejectsConnection() bool {
	return m != nil && (m.actions[rejectIncomingConnections].chance() || m.Sheds(ListenerAccept))
}

// DisablesKeepAlive tells that a connection is to end with this response.
func (m *Manager) DisablesKeepAlive() bool { return m != nil && m.actions[disableKeepAlive].chance() }

// MaxConnections is the limit of global_downstream_max_connections, otherwise
// when it is not monitored.
func (m *Manager) MaxConnections(otherwise uint64) uint64 {
	if m == nil || m.maxConnections == 0 {
		return otherwise
	}
	return m.maxConnections
}

// shrinkEvery is Envoy's: giving memory back costs time.
const shrinkEvery = 10 * time.Second

// Run refreshes the state until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	if m == nil || len(m.monitors) == 0 {
		return
	}
	tick := time.NewTicker(m.interval)
	defer tick.Stop()
	var shrunk, last time.Time
	for {
		if now := time.Now(); !last.IsZero() {
			passed := uint64(now.Sub(last) / time.Millisecond)
			m.post(func() { m.delay.Record(passed) })
		}
		last = time.Now()
		m.refresh()
		if m.StopsHeapGrowth() && time.Since(shrunk) >= shrinkEvery {
			shrunk = time.Now()
			debug.FreeOSMemory()
			m.shrunk.Inc()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// StopsHeapGrowth tells that memory is to be given back to the system.
func (m *Manager) StopsHeapGrowth() bool { return m.value(shrinkHeap) >= 1 }

func (m *Manager) refresh() {
	for _, r := range m.monitors {
		p, err := r.pressure()
		if err != nil {
			r.failed.Inc()
			m.log.Debug("a resource can't be measured", "resource", r.name, "error", err)
			continue
		}
		r.last = p
		r.gauge.Set(int64(p * 100))
	}
	for a := range numActions {
		if m.actions[a].triggers == nil {
			continue
		}
		was, now := m.actions[a].refresh(m.monitors)
		m.active[a].Set(int64(now)) // 1 when saturated
		if (was >= 1) != (now >= 1) {
			m.log.Warn("overload action", "action", names[a], "active", now >= 1)
		}
	}
	for p := range numPoints {
		if m.points[p].triggers != nil {
			m.points[p].refresh(m.monitors)
		}
	}
}
