package ratelimit

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/ratelimit"
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

type filter struct {
	grpc.ConnectionCall
	s     *settings
	cb    *network.ReadCallbacks
	conn  *network.Connection
	stats *Stats
	over  bool // the connection is closed
}

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	if !f.s.isOn("ratelimit.tcp_filter_enabled") {
		return network.Continue
	}
	f.stats.Total.Inc()
	f.Ask(f.s.service, f.s.client(f.conn.Loop()), ratelimit.Method, f.question(), f.conn, &f.stats.Active, func(response []byte, st grpc.Status) {
		m, o := ratelimit.Read(response, st)
		f.decided(o, m.GetDynamicMetadata().AsMap())
	})
	return network.StopIteration
}

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.Asking() || f.over {
		return network.StopIteration
	}
	return network.Continue
}

func (f *filter) decided(o ratelimit.Outcome, metadata map[string]any) {
	for key, value := range metadata {
		f.conn.EnsureInfo().SetMetadata(namespace, key, value)
	}
	switch o {
	case ratelimit.Allowed:
		f.stats.OK.Inc()
	case ratelimit.OverLimit:
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

// question is what the service is asked, as bytes.
func (f *filter) question() []byte {
	c := formatter.OfConnection(f.conn)
	var q ratelimit.Question
	for i := range f.s.descriptors {
		d, x := &f.s.descriptors[i], q.Add()
		for _, e := range d.entries {
			x.Entry(e.key, e.value.Format(&c))
		}
		if d.override {
			x.Override(d.requests, d.unit)
		}
		if d.counts {
			x.Hits(d.hits)
		}
	}
	return q.Bytes(f.s.domain)
}
