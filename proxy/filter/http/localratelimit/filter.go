package localratelimit

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Stats are at <stat_prefix>.http_local_rate_limit.
type Stats struct {
	Enabled     stats.Counter `stat:"enabled"`
	Enforced    stats.Counter `stat:"enforced"`
	RateLimited stats.Counter `stat:"rate_limited"`
	OK          stats.Counter `stat:"ok"`
	ShadowMode  stats.Counter `stat:"shadow_mode"`
}

// hostLimits is what becomes of the virtual host's rate limits.
type hostLimits uint8

const (
	hostLimitsInstead hostLimits = iota // when the route has none
	hostLimitsToo
	hostLimitsNever
)

// settings are a filter's, or those that a route has instead.
type settings struct {
	status            int
	grpc              int // http.NoGrpcStatus: as the status says
	enabled, enforced fraction.Percent
	requestHeaders    *route.HeaderChanges // nil: none
	responseHeaders   *route.HeaderChanges
	limits            limits
	perConnection     bool
	stage             uint32
	hostLimits        hostLimits
	own               []route.RateLimit // instead of the route's
	xHeaders          bool
	retryAfter        bool
	stats             *stats.Group[Stats]
}

// Close ends the statistics.
func (s *settings) Close() { s.stats.Close() }

type factory struct {
	settings       *settings
	serviceCluster string
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

// Close ends the statistics.
func (f *factory) Close() { f.settings.Close() }

type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	f       *factory
	cb      http.FilterCallbacks
	context formatter.Context
	entries []route.DescriptorEntry // memory, kept for later streams
	wanted  []wanted
	state
}

// state is what is zero when a stream begins.
type state struct {
	settings *settings
	verdict
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	s, ok := http.RouteConfig[*settings](f.cb)
	if !ok {
		s = f.f.settings
	}
	f.settings = s
	if !s.enabled.Picks(rand.Uint64()) {
		return http.HeadersContinue
	}
	st := s.stats.For(f.cb.Worker())
	st.Enabled.Inc()
	f.context = formatter.OfRequest(f.cb)
	f.describe()
	if f.verdict = f.limitsOf(s).allow(f.wanted); !f.limited {
		st.OK.Inc()
		return http.HeadersContinue
	}
	st.RateLimited.Inc()
	if f.shadow {
		st.ShadowMode.Inc()
		return http.HeadersContinue
	}
	if !s.enforced.Picks(rand.Uint64()) {
		if s.requestHeaders != nil {
			s.requestHeaders.Apply(h, &f.context)
		}
		return http.HeadersContinue
	}
	st.Enforced.Inc()
	f.cb.StreamInfo().SetFlag(streaminfo.RateLimited)
	f.cb.SendLocalReply(s.status, "local_rate_limited", func(r *http.HeaderMap) {
		if s.responseHeaders != nil {
			s.responseHeaders.Apply(r, &f.context)
		}
	}, s.grpc, "local_rate_limited")
	return http.HeadersStopIteration
}

// limitsOf are the buckets: shared, or the connection's own.
func (f *filter) limitsOf(s *settings) *limits {
	if !s.perConnection {
		return &s.limits
	}
	info := f.cb.Connection().EnsureInfo()
	own, ok := info.FilterState[connectionKey].(*connectionLimits)
	if !ok {
		own = &connectionLimits{of: map[*settings]*limits{}}
		info.SetFilterState(connectionKey, own)
	}
	l := own.of[s]
	if l == nil {
		l = s.limits.clone()
		own.of[s] = l
	}
	return l
}

// connectionKey is where a connection's filter state has its buckets.
const connectionKey = "envoy.filters.http.local_ratelimit.per_connection"

type connectionLimits struct{ of map[*settings]*limits }

// describe makes the request's descriptors.
func (f *filter) describe() {
	f.entries, f.wanted = f.entries[:0], f.wanted[:0]
	s := f.settings
	if len(s.limits.descriptors) == 0 {
		return
	}
	rq := route.LimitRequest{Format: &f.context, ServiceCluster: f.f.serviceCluster}
	r, ok := f.cb.Route().(*route.Route)
	if ok {
		rq.Route = r
	}
	if len(s.own) > 0 {
		f.add(s.own, &rq)
		return
	}
	if !ok || r.Forward() == nil {
		return
	}
	own, host := r.Forward().RateLimits, r.VirtualHost().RateLimits
	f.add(own, &rq)
	if r.Forward().IncludeVHRateLimits || s.hostLimits == hostLimitsToo || s.hostLimits == hostLimitsInstead && len(own) == 0 {
		f.add(host, &rq)
	}
}

func (f *filter) add(ls []route.RateLimit, rq *route.LimitRequest) {
	for i := range ls {
		l := &ls[i]
		if l.Stage != f.settings.stage {
			continue
		}
		start := len(f.entries)
		var ok bool
		if f.entries, ok = l.Append(f.entries, rq); !ok {
			continue
		}
		w := wanted{entries: f.entries[start:len(f.entries):len(f.entries)], hits: 1, xHeaders: l.XRateLimit}
		if n, ok := l.HitsAddend(rq); ok {
			w.hits = n
		}
		f.wanted = append(f.wanted, w)
	}
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	b := f.bucket
	if b == nil {
		return http.HeadersContinue
	}
	reset := int64((b.NextToken() + time.Second - 1) / time.Second)
	if f.wantsXHeaders() {
		h.AddName("x-ratelimit-limit", h.Int(int64(b.Max())))
		h.AddName("x-ratelimit-remaining", h.Int(int64(b.Remaining())))
		h.AddName("x-ratelimit-reset", h.Int(reset))
	}
	if f.settings.retryAfter && f.limited && !f.shadow && f.settings.status == 429 {
		h.Set(http.RetryAfter, h.Int(reset))
	}
	return http.HeadersContinue
}

// wantsXHeaders tells whether the client is told of the bucket: as the rate
// limit that made the descriptor has it, else as the filter has.
func (f *filter) wantsXHeaders() bool {
	switch f.xHeaders {
	case route.XRateLimitOff:
		return false
	case route.XRateLimitDraft03:
		return true
	}
	return f.settings.xHeaders
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() {
	f.state, f.context = state{}, formatter.Context{}
	clear(f.entries)
	clear(f.wanted)
}
