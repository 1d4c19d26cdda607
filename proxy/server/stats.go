package server

import (
	"time"

	"github.com/weirproxy/weir/proxy/stats"
)

// serverStats are the process's statistics under server.
type serverStats struct {
	Concurrency          stats.Gauge     `stat:"concurrency"`
	DaysUntilFirstCert   stats.Gauge     `stat:"days_until_first_cert_expiring"`
	HotRestartEpoch      stats.Gauge     `stat:"hot_restart_epoch"`
	Live                 stats.Gauge     `stat:"live"`
	MemoryAllocated      stats.Gauge     `stat:"memory_allocated"`
	MemoryHeapSize       stats.Gauge     `stat:"memory_heap_size"`
	MemoryPhysicalSize   stats.Gauge     `stat:"memory_physical_size"`
	ParentConnections    stats.Gauge     `stat:"parent_connections"`
	State                stats.Gauge     `stat:"state"`
	StatsRecentLookups   stats.Gauge     `stat:"stats_recent_lookups"`
	TotalConnections     stats.Gauge     `stat:"total_connections"`
	Uptime               stats.Gauge     `stat:"uptime"`
	Version              stats.Gauge     `stat:"version"`
	DebugAssertionFails  stats.Counter   `stat:"debug_assertion_failures"`
	DynamicUnknownFields stats.Counter   `stat:"dynamic_unknown_fields"`
	EnvoyBugFailures     stats.Counter   `stat:"envoy_bug_failures"`
	StaticUnknownFields  stats.Counter   `stat:"static_unknown_fields"`
	WipProtos            stats.Counter   `stat:"wip_protos"`
	InitializationTimeMs stats.Histogram `stat:"initialization_time_ms"`
	WatchdogMiss         stats.Counter   `stat:"main_thread.watchdog_miss"`
	WatchdogMegaMiss     stats.Counter   `stat:"main_thread.watchdog_mega_miss"`
}

// flushInterval is how often gauges are brought up to date and histograms end
// their interval (Envoy's stats_flush_interval).
const flushInterval = 5 * time.Second

// tick brings the process's gauges up to date, and again every interval.
func (s *server) tick() {
	st := s.serverSt.For(0)
	st.Concurrency.Set(int64(s.o.Concurrency))
	st.Uptime.Set(int64(time.Since(s.started) / time.Second))
	st.State.Set(s.stateNumber())
	s.stats.Flush()
	s.loops[0].NewTimer(s.tick).Enable(flushInterval)
}
