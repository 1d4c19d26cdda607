package ratelimit

import (
	"math/rand/v2"
	"strings"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/grpc/ratelimit"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// factory is a RateLimit filter compiled.
type factory struct {
	service                    *grpc.Service
	client                     func(worker int) async.Client
	table                      func(worker int) *upstream.Table
	domain                     string
	stage                      uint32
	internal, external         bool // which requests are limited
	failureDeny, denyShare     bool
	deny                       fraction.Percent // with denyShare, instead of failureDeny
	enabled, enforced          fraction.Percent
	exhausted                  bool // gRPC clients are told RESOURCE_EXHAUSTED
	xHeaders, retryAfter       bool
	noLimitedHeader            bool
	limitedStatus, errorStatus int
	responseHeaders            *route.HeaderChanges // of 429 answers
	own                        []route.RateLimit
	namespace                  string
	runtime                    fraction.Runtime
	serviceCluster             string
	groups                     clusterGroups
	workers                    []worker
}

// hostLimits is RateLimitPerRoute.vh_rate_limits.
type hostLimits uint8

const (
	hostOverride hostLimits = iota // the route's, or else the virtual host's
	hostInclude                    // both
	hostIgnore
)

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: c, cb: cb, client: c.client(w)}
}

// Close ends the filter's statistics.
func (c *factory) Close() { c.groups.close() }

// filter limits one stream, and then later ones: see Recycle.
type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	*factory
	cb      http.FilterCallbacks
	client  async.Client
	context formatter.Context
	state
}

// state is what is zero when a stream begins.
type state struct {
	call      *grpc.Call
	done      *ratelimit.Question // what is counted when the stream ends
	domainNow string
	response  [][2]string
	limited   bool // the response tells that the request exceeds a limit
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state, f.context = state{}, formatter.Context{} }

// OnDestroy implements http.StreamFilter. What is to be counted at the end is
// sent then; nobody waits for the answer.
func (f *filter) OnDestroy() {
	if f.call != nil {
		f.call.Cancel()
		f.call = nil
	}
	if f.done != nil {
		f.service.Call(f.client, ratelimit.Method, f.done.Bytes(f.domainNow), nil, func([]byte, grpc.Status) {})
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if !f.isOn("ratelimit.http_filter_enabled") || !f.enabled.Picks(rand.Uint64()) {
		return http.HeadersContinue
	}
	if inside := h.Get(http.XEnvoyInternal) == "true"; inside && !f.internal || !inside && !f.external {
		return http.HeadersContinue
	}
	q := f.describe()
	if q == nil || q.Empty() {
		return http.HeadersContinue
	}
	f.call = f.service.For(&formatter.Context{Info: f.cb.StreamInfo()}).Call(f.client, ratelimit.Method, q.Bytes(f.domainNow), f.cb.Connection(), func(response []byte, st grpc.Status) {
		f.call = nil
		f.decide(answer(response, st))
	})
	return http.HeadersStopAllAndWatermark
}

// isOn asks the runtime for a percentage.
func (f *filter) isOn(key string) bool {
	n := f.runtime.Get(key, 100)
	return n >= 100 || rand.Uint64N(100) < n
}

// describe makes the request's descriptors; nil without a route to a cluster
// that is there.
func (f *filter) describe() *ratelimit.Question {
	f.context = formatter.OfRequest(f.cb)
	rq := &route.LimitRequest{Format: &f.context, ServiceCluster: f.serviceCluster}
	r, ok := f.cb.Route().(*route.Route)
	if !ok || r.Forward() == nil {
		return nil
	}
	if f.table(f.cb.Worker()).Get(r.Cluster(f.cb.RequestHeaders())) == nil {
		return nil
	}
	rq.Route = r
	f.domainNow = f.domain
	q := &ratelimit.Question{}
	s, _ := http.RouteConfig[*routeSettings](f.cb)
	if s != nil && s.domain != "" {
		f.domainNow = s.domain
	}
	switch {
	case s != nil && len(s.own) > 0:
		f.add(q, s.own, rq)
		return q
	case len(f.own) > 0:
		f.add(q, f.own, rq)
		return q
	}
	own, host := r.Forward().RateLimits, r.VirtualHost().RateLimits
	f.add(q, own, rq)
	mode := hostOverride
	if s != nil {
		mode = s.hostLimits
	}
	if mode == hostInclude || mode == hostOverride && (len(own) == 0 || r.Forward().IncludeVHRateLimits) {
		f.add(q, host, rq)
	}
	return q
}

func (f *filter) add(q *ratelimit.Question, limits []route.RateLimit, rq *route.LimitRequest) {
	for i := range limits {
		l := &limits[i]
		if l.Stage != f.stage || l.DisableKey != "" && !f.isOn("ratelimit."+l.DisableKey+".http_filter_enabled") {
			continue
		}
		if l.ApplyOnStreamDone {
			if f.done == nil {
				f.done = &ratelimit.Question{}
			}
			addDescriptor(f.done, l, rq)
			continue
		}
		addDescriptor(q, l, rq)
	}
}

// decide takes the service's answer.
func (f *filter) decide(v *verdict) {
	st, code := f.routed()
	for k, x := range v.metadata {
		f.cb.StreamInfo().SetMetadata(f.namespace, k, x)
	}
	f.response = v.response
	if f.xHeaders {
		f.response = append(f.response, v.headers...)
	}
	switch v.outcome {
	case ratelimit.Allowed:
		st.OK.Inc()
	case ratelimit.OverLimit:
		st.OverLimit.Inc()
		code(f.limitedStatus)
		f.limited = !f.noLimitedHeader
		if f.isOn("ratelimit.http_filter_enforcing") && f.enforced.Picks(rand.Uint64()) {
			f.limit(v)
			return
		}
	default:
		st.Error.Inc()
		if f.denies() {
			f.cb.StreamInfo().SetFlag(streaminfo.RateLimitServiceError)
			f.cb.SendLocalReply(f.errorStatus, "", nil, http.NoGrpcStatus, "rate_limiter_error")
			return
		}
		st.FailureModeAllowed.Inc()
	}
	h := f.cb.RequestHeaders()
	for _, x := range v.request {
		h.AddJoined(h.Own(x[0]), h.Own(x[1]))
	}
	f.cb.ContinueDecoding()
}

func (f *filter) denies() bool {
	if f.denyShare {
		return f.deny.Picks(rand.Uint64())
	}
	return f.failureDeny
}

// limit answers a request that exceeds a limit.
func (f *filter) limit(v *verdict) {
	f.cb.StreamInfo().SetFlag(streaminfo.RateLimited)
	grpcStatus := http.NoGrpcStatus
	if f.exhausted {
		grpcStatus = grpc.ResourceExceeded
	}
	f.cb.SendLocalReply(f.limitedStatus, v.body, func(h *http.HeaderMap) {
		f.addResponseHeaders(h)
		if f.retryAfter && f.limitedStatus == 429 && v.retry > 0 && !v.hasResponse("retry-after") {
			h.SetInt(http.RetryAfter, v.retry)
		}
		if f.responseHeaders != nil {
			f.context.ResponseHeaders = h
			f.responseHeaders.Apply(h, &f.context)
		}
	}, grpcStatus, "request_rate_limited")
}

// routed is where answers are counted: the cluster that the request will go to.
func (f *filter) routed() (st *ClusterStats, code func(int)) {
	if r, ok := f.cb.Route().(*route.Route); ok {
		if c := f.table(f.cb.Worker()).Get(r.Cluster(f.cb.RequestHeaders())); c != nil {
			return f.clusterStats(f.cb.Worker(), c.Info().StatName), func(status int) {
				c.Stats().UpstreamRq.Inc(status)
				c.Stats().InternalRq.Inc(status)
			}
		}
	}
	return &ClusterStats{}, func(int) {}
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	f.addResponseHeaders(h)
	return http.HeadersContinue
}

// addResponseHeaders adds what the service orders, once.
func (f *filter) addResponseHeaders(h *http.HeaderMap) {
	for _, x := range f.response {
		if !strings.HasPrefix(x[0], ":") && !(f.limited && x[0] == "x-envoy-ratelimited") {
			h.AddJoined(h.Own(x[0]), h.Own(x[1]))
		}
	}
	if f.limited {
		h.Set(http.XEnvoyRateLimited, "true")
	}
	f.response, f.limited = nil, false
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
