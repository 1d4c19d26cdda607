package overload

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
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
	numActions
)

// names are Envoy's.
var names = [numActions]string{
	"envoy.overload_actions.stop_accepting_requests",
	"envoy.overload_actions.stop_accepting_connections",
	"envoy.overload_actions.reject_incoming_connections",
	"envoy.overload_actions.disable_http_keepalive",
	"envoy.overload_actions.shrink_heap",
}

// monitor measures a resource.
type monitor struct {
	name     string
	pressure func() (float64, error) // 0 is idle, 1 is full
	gauge    *stats.SharedGauge
	failed   *stats.SharedCounter
	last     float64
}

// trigger turns a resource's pressure into an action's value.
type trigger struct {
	monitor             int
	scaling, saturation float64 // equal for a threshold
}

func (t *trigger) value(pressure float64) float64 {
	switch {
	case pressure >= t.saturation:
		return 1
	case pressure <= t.scaling || t.scaling == t.saturation:
		return 0
	}
	return (pressure - t.scaling) / (t.saturation - t.scaling)
}

// Manager is the overload manager.
type Manager struct {
	interval time.Duration
	log      *slog.Logger
	monitors []*monitor
	triggers [numActions][]trigger
	// values are the actions' at present: 0 is off, 1 is saturated.
	values [numActions]atomic.Uint64 // bits of a float64
	active [numActions]*stats.SharedGauge
	scale  [numActions]*stats.SharedGauge
	shrunk *stats.SharedCounter

	maxConnections uint64 // of all listeners together; 0: no such monitor
	connections    func() int64
}

func (m *Manager) value(a action) float64 {
	if m == nil {
		return 0
	}
	return math.Float64frombits(m.values[a].Load())
}

// StopsAcceptingRequests tells that requests are to be answered 503.
func (m *Manager) StopsAcceptingRequests() bool { return m.value(stopAcceptingRequests) >= 1 }

// StopsAcceptingConnections tells that connections are to wait in the kernel.
func (m *Manager) StopsAcceptingConnections() bool { return m.value(stopAcceptingConnections) >= 1 }

// RejectsConnection tells that a new connection is to be closed at once: all
// of them when the action is saturated, a share of them before.
func (m *Manager) RejectsConnection() bool {
	return m.value(rejectIncomingConnections) > rand.Float64()
}

// DisablesKeepAlive tells that a connection is to end with this response.
func (m *Manager) DisablesKeepAlive() bool { return m.value(disableKeepAlive) > rand.Float64() }

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
	var shrunk time.Time
	for {
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
		if m.triggers[a] == nil {
			continue
		}
		value := 0.0
		for i := range m.triggers[a] {
			t := &m.triggers[a][i]
			value = max(value, t.value(m.monitors[t.monitor].last))
		}
		was := math.Float64frombits(m.values[a].Swap(math.Float64bits(value)))
		active := int64(0)
		if value >= 1 {
			active = 1
		}
		m.active[a].Set(active)
		m.scale[a].Set(int64(value * 100))
		if (was >= 1) != (value >= 1) {
			m.log.Warn("overload action", "action", names[a], "active", value >= 1)
		}
	}
}
