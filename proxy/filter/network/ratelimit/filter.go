package ratelimit

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// Stats are at ratelimit.<stat_prefix>.
type Stats struct {
	Active             stats.Gauge   `stat:"active"`
	Closed             stats.Counter `stat:"cx_closed"`
	Error              stats.Counter `stat:"error"`
	FailureModeAllowed stats.Counter `stat:"failure_mode_allowed"`
	OK                 stats.Counter `stat:"ok"`
	OverLimit          stats.Counter `stat:"over_limit"`
	Total              stats.Counter `stat:"total"`
}

const namespace = "envoy.filters.network.ratelimit"

type settings struct {
	service       *grpc.Service
	client        func(*network.Loop) async.Client
	domain        string
	descriptors   []descriptor
	denyOnFailure bool
	runtime       fraction.Runtime
	stats         *stats.Group[Stats]
}

// descriptor is a configured RateLimitDescriptor.
type descriptor struct {
	entries  []entry
	override bool // requests and unit are the limit
	requests uint32
	unit     int32
	counts   bool // the connection counts as so many hits
	hits     uint64
}

type entry struct {
	key   string
	value *formatter.Formatter
}

// isOn asks the runtime for a percentage.
func (s *settings) isOn(key string) bool {
	n := s.runtime.Get(key, 100)
	return n >= 100 || rand.Uint64N(100) < n
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{s: s, cb: cb, conn: cb.Connection(), stats: s.stats.For(cb.Connection().Loop().Worker)}
}

type outcome uint8

const (
	failed outcome = iota
	allowed
	overLimit
)

type filter struct {
	s     *settings
	cb    *network.ReadCallbacks
	conn  *network.Connection
	stats *Stats
	call  *grpc.Call // while the service is asked
	over  bool       // the connection is closed
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	if !f.s.isOn("ratelimit.tcp_filter_enabled") {
		return network.Continue
	}
	f.stats.Active.Inc()
	f.stats.Total.Inc()
	f.conn.AddCallbacks(f)
	f.call = f.s.service.Call(f.s.client(f.conn.Loop()), shouldRateLimit, f.question(), f.conn, func(response []byte, st grpc.Status) {
		f.call = nil
		f.decided(answer(response, st))
	})
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.call != nil || f.over {
		return network.StopIteration
	}
	return network.Continue
}

func (f *filter) decided(o outcome, metadata map[string]any) {
	f.stats.Active.Dec()
	for key, value := range metadata {
		f.conn.EnsureInfo().SetMetadata(namespace, key, value)
	}
	switch o {
	case allowed:
		f.stats.OK.Inc()
	case overLimit:
		f.stats.OverLimit.Inc()
		if f.s.isOn("ratelimit.tcp_filter_enforcing") {
			f.close("ratelimit_close_over_limit")
			return
		}
	default:
		f.stats.Error.Inc()
		if f.s.denyOnFailure {
			f.close("ratelimit_error_failure_mode_connection_close")
			return
		}
		f.stats.FailureModeAllowed.Inc()
	}
	f.cb.ContinueReading()
}

func (f *filter) close(why string) {
	f.over = true
	f.conn.EnsureInfo().CloseReason = why
	f.stats.Closed.Inc()
	f.conn.Close(network.NoFlush)
}

// OnEvent implements network.ConnectionCallbacks.
func (f *filter) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected || f.call == nil {
		return
	}
	f.call.Cancel()
	f.call = nil
	f.stats.Active.Dec()
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (f *filter) OnAboveWriteBufferHighWatermark() {}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (f *filter) OnBelowWriteBufferLowWatermark() {}
