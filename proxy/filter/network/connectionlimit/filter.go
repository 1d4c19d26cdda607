package connectionlimit

import (
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at connection_limit.<stat_prefix>.
type Stats struct {
	LimitedConnections stats.Counter `stat:"limited_connections"`
	ActiveConnections  stats.Gauge   `stat:"active_connections"`
}

type settings struct {
	most    uint64
	delay   time.Duration // before a connection too many is closed
	enabled fraction.Flag
	active  atomic.Int64 // of all workers
	stats   *stats.Group[Stats]
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s: s, conn: cb.Connection()}
}

type filter struct {
	network.NoWatermarks
	s       *settings
	conn    *network.Connection
	counted bool
	refused bool
	timer   *event.Timer
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	if !f.s.enabled.On() {
		return network.Continue
	}
	st := f.s.stats.For(f.conn.Loop().Worker)
	st.ActiveConnections.Inc()
	f.conn.AddCallbacks(f)
	if n := f.s.active.Add(1); uint64(n) <= f.s.most {
		f.counted = true
		return network.Continue
	}
	f.s.active.Add(-1)
	st.LimitedConnections.Inc()
	f.refused = true
	if f.s.delay == 0 {
		f.conn.Close(network.NoFlush)
		return network.StopIteration
	}
	f.timer = f.conn.Loop().NewTimer(func() { f.conn.Close(network.NoFlush) })
	f.timer.Enable(f.s.delay)
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.refused {
		return network.StopIteration
	}
	return network.Continue
}

// OnEvent implements network.ConnectionCallbacks.
func (f *filter) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		return
	}
	if f.counted {
		f.s.active.Add(-1)
	}
	if f.timer != nil {
		f.timer.Release()
	}
	f.s.stats.For(f.conn.Loop().Worker).ActiveConnections.Dec()
}
