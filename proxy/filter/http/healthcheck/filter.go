package healthcheck

import (
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
)

type factory struct {
	headers        []matcher.Header // a health check has all of these
	passThrough    bool
	cache          *cache // nil: answers are not kept
	minimums       []minimum
	failed         func() bool // the admin interface says so; nil: never
	serviceCluster string
	clusters       func(worker int) *upstream.Table
	group          *stats.Group[Stats]
}

// minimum is how many of a cluster's hosts must be usable.
type minimum struct {
	cluster string
	percent float64
}

// cache keeps the upstream's last answer, for all workers.
type cache struct {
	keep   time.Duration
	answer atomic.Pointer[answer]
}

type answer struct {
	status   int
	degraded bool
	until    time.Time
}

// get is the answer that is still good, nil when there is none.
func (c *cache) get(now time.Time) *answer {
	if c == nil {
		return nil
	}
	if a := c.answer.Load(); a != nil && now.Before(a.until) {
		return a
	}
	return nil
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb, stats: f.group.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

func (f *factory) failing() bool { return f.failed != nil && f.failed() }

type filter struct {
	http.PassResponseBody
	f     *factory
	cb    http.FilterCallbacks
	stats *Stats
	state
}

type state struct {
	check    bool    // the request is a health check
	handling bool    // it is answered here
	cached   *answer // by this
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if !matcher.MatchHeaders(f.f.headers, h) {
		return http.HeadersContinue
	}
	f.check = true
	f.cb.StreamInfo().HealthCheck = true
	f.cached = f.f.cache.get(f.cb.Loop().Time())
	f.handling = !f.f.passThrough || f.cached != nil || f.f.failing()
	if !f.handling {
		return http.HeadersContinue
	}
	if end {
		f.reply()
	}
	return http.HeadersStopIteration
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(_ *network.Buffer, end bool) http.DataStatus {
	if !f.handling {
		return http.DataContinue
	}
	if end {
		f.reply()
	}
	return http.DataStopNoBuffer
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if !f.handling {
		return http.TrailersContinue
	}
	f.reply()
	return http.TrailersStopIteration
}

// reply answers the health check.
func (f *filter) reply() {
	status, details, degraded := 200, "health_check_ok", false
	switch {
	case f.f.failing():
		status, details = 503, "health_check_failed"
	case f.cached != nil:
		f.stats.CachedResponse.Inc()
		status, details, degraded = f.cached.status, "health_check_cached", f.cached.degraded
	case len(f.f.minimums) > 0:
		details = "health_check_ok_cluster_healthy"
		if problem := f.unhealthyCluster(); problem != "" {
			status, details = 503, problem
		}
	}
	f.stats.RequestTotal.Inc()
	if degraded {
		f.stats.Degraded.Inc()
	}
	if status/100 == 2 {
		f.stats.OK.Inc()
	} else {
		f.stats.Failed.Inc()
		f.cb.StreamInfo().SetFlag(streaminfo.FailedLocalHealthCheck)
	}
	f.cb.SendLocalReply(status, "", func(h *http.HeaderMap) {
		if degraded {
			h.Set(http.XEnvoyDegraded, "")
		}
	}, http.NoGrpcStatus, details)
}

// unhealthyCluster is the response code detail for the first cluster with too
// few usable hosts, "" when all have enough.
func (f *filter) unhealthyCluster() string {
	for _, m := range f.f.minimums {
		c := f.f.clusters(f.cb.Worker()).Get(m.cluster)
		if c == nil {
			f.stats.FailedClusterNotFound.Inc()
			return "health_check_failed_no_cluster_found"
		}
		total, usable := 0, 0
		for _, s := range c.Hosts().Sets {
			total += len(s.Hosts)
			usable += len(s.Healthy) + len(s.Degraded)
		}
		switch {
		case total == 0 && m.percent > 0:
			f.stats.FailedClusterEmpty.Inc()
			return "health_check_failed_cluster_empty"
		case 100*float64(usable) < float64(total)*m.percent:
			f.stats.FailedClusterUnhealthy.Inc()
			return "health_check_failed_cluster_unhealthy"
		}
	}
	return ""
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	switch {
	case f.check:
		f.keep(h)
		h.Set(http.XEnvoyUpstreamHealthCheckedCluster, f.f.serviceCluster)
	case f.f.failing():
		h.Set(http.XEnvoyImmediateHealthCheckFail, "true")
	}
	return http.HeadersContinue
}

// keep remembers the upstream's answer.
func (f *filter) keep(h *http.HeaderMap) {
	if f.f.cache == nil || f.handling {
		return
	}
	status := 0
	for _, c := range []byte(h.Get(http.Status)) {
		status = status*10 + int(c-'0')
	}
	f.f.cache.answer.Store(&answer{status, h.Has(http.XEnvoyDegraded), f.cb.Loop().Time().Add(f.f.cache.keep)})
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }
