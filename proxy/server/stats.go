package server

import (
	"context"
	"math"
	"runtime/metrics"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/internal/buildinfo"
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
	OCSPExpiry           stats.Gauge     `stat:"seconds_until_first_ocsp_response_expiring"`
	FIPS                 stats.Gauge     `stat:"compilation_settings.fips_mode"`
	DroppedFlushes       stats.Counter   `stat:"dropped_stat_flushes"`
	Notifications        stats.Counter   `stat:"envoy_notifications"`
	DebugAssertionFails  stats.Counter   `stat:"debug_assertion_failures"`
	DynamicUnknownFields stats.Counter   `stat:"dynamic_unknown_fields"`
	EnvoyBugFailures     stats.Counter   `stat:"envoy_bug_failures"`
	StaticUnknownFields  stats.Counter   `stat:"static_unknown_fields"`
	WipProtos            stats.Counter   `stat:"wip_protos"`
	InitializationTimeMs stats.Histogram `stat:"initialization_time_ms"`
}

// tick brings the process's gauges up to date and ends the histograms'
// interval, and again every flush interval.
func (s *server) tick() {
	s.updateServerStats()
	s.flushStats()
	s.loops[0].NewTimer(s.tick).Enable(flushInterval(s.bootstrap))
}

// flushStats ends an interval, and sends it to the sinks when there are any.
func (s *server) flushStats() (done <-chan struct{}) {
	return s.sinks.flush(s.stats.Flush())
}

func (s *server) updateServerStats() {
	st := s.serverSt.For(0)
	st.Concurrency.Set(int64(s.o.Concurrency))
	st.Uptime.Set(int64(time.Since(s.started) / time.Second))
	st.State.Set(s.stateNumber())
	st.Version.Set(s.versionNumber())
	if s.node != nil {
		s.node.dns.updateStats()
	}
	st.TotalConnections.Set(int64(s.listeners.Connections()))
	days := int64(math.MaxUint32) // as in Envoy when no certificate expires
	if first, ok := s.certs.FirstExpiry(); ok {
		days = max(0, int64(time.Until(first)/(24*time.Hour)))
	}
	st.DaysUntilFirstCert.Set(days)
	memory := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(memory)
	physical := memory[1].Value.Uint64() - memory[2].Value.Uint64()
	st.MemoryAllocated.Set(int64(memory[0].Value.Uint64()))
	st.MemoryHeapSize.Set(int64(physical))
	st.MemoryPhysicalSize.Set(int64(physical))
}

// versionNumber is the build as a number, as Envoy makes one of its commit.
func (s *server) versionNumber() int64 {
	if v := s.bootstrap.GetStatsServerVersionOverride(); v != nil {
		return int64(v.GetValue())
	}
	return int64(xxhash.Sum64String(buildinfo.Revision()) >> 40)
}

// adminStats is the store as the admin pages see it: with
// stats_flush_on_admin a page shows what has happened up to now.
type adminStats struct {
	*stats.Store
	flush func() (done <-chan struct{})
}

// Snapshot implements admin.StatsStore.
func (a adminStats) Snapshot(ctx context.Context) (*stats.Snapshot, error) {
	if a.flush != nil {
		select {
		case <-a.flush():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return a.Store.Snapshot(ctx)
}
