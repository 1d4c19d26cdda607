package router

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// startCounting finds the statistics that the request counts in besides its
// cluster's.
func (f *filter) startCounting(h *http.HeaderMap) {
	w := f.cb.Worker()
	if c := f.route.VirtualCluster(h); c != nil {
		f.cb.StreamInfo().VirtualCluster = c.Name
		if c.Rest {
			f.cb.StreamInfo().VirtualCluster = ""
		}
		f.counted[0] = c.Stats(w)
	}
	f.counted[1] = f.route.Stats(w)
	f.altName = h.Get(http.XEnvoyUpstreamAltStatName) // the map keeps its memory
	h.Remove(http.XEnvoyUpstreamAltStatName)
}

func (f *filter) eachCounted(count func(*route.RequestStats)) {
	for _, c := range f.counted {
		if c != nil {
			count(c)
		}
	}
}

// chargeHeaders counts a response of the upstream.
func (f *filter) chargeHeaders(code int, u *upstreamRequest, h *http.HeaderMap) {
	f.chargeCode(code, u, h.Get(http.XEnvoyUpstreamCanary) == "true")
}

// chargeAbort counts an answer that stands for a missing one.
func (f *filter) chargeAbort(code int, dropped bool) {
	if dropped && !f.responseStarted {
		f.cluster.Info().Dropped.Add(1)
	}
	if !f.responseStarted && f.cluster != nil {
		f.chargeCode(code, f.attempt, false)
	}
}

// chargeTimeout counts a timeout as the answer of each try that is under way,
// or of the one that just was.
func (f *filter) chargeTimeout() {
	if f.responseStarted {
		return
	}
	charged := false
	for _, u := range f.tries {
		if u.active {
			f.chargeCode(f.timeouts.code, u, false)
			charged = true
		}
	}
	if !charged {
		f.chargeAbort(f.timeouts.code, false)
	}
}

func (f *filter) chargeCode(code int, u *upstreamRequest, canary bool) {
	if f.cfg.noDynamicStats || f.cb.StreamInfo().HealthCheck {
		return
	}
	st, internal := f.cluster.Stats(), f.internal()
	canary = canary || u.host != nil && u.host.Canary()
	if f.grpc && f.cfg.grpcCodesUnnamed {
		st.UpstreamRq.IncUnnamed()
		st.ChargeParts(code, canary, internal)
	} else {
		st.Charge(code, canary, internal)
	}
	u.host.ChargeZone(f.cb.Worker(), code)
	if alt := f.altStats(); alt != nil {
		alt.Charge(code, canary, internal)
	}
	for _, c := range f.counted {
		if c != nil {
			c.Codes.Inc(code)
		}
	}
}

// chargeTime counts how long the upstream took for its response, in
// milliseconds.
func (f *filter) chargeTime(u *upstreamRequest, ms uint64) {
	if f.cfg.noDynamicStats || f.cb.StreamInfo().HealthCheck {
		return
	}
	canary, internal := u.host != nil && u.host.Canary(), f.internal()
	f.cluster.Stats().ChargeTime(ms, canary, internal)
	u.host.ChargeZoneTime(f.cb.Worker(), ms)
	if alt := f.altStats(); alt != nil {
		alt.ChargeTime(ms, canary, internal)
	}
	for _, c := range f.counted {
		if c != nil {
			c.Time.Record(ms)
		}
	}
}

// altStats are those under the name that the request gave, nil if there is none.
func (f *filter) altStats() *cluster.ResponseStats {
	if f.altName == "" {
		return nil
	}
	return f.cluster.AltStats(f.altName)
}

// messageSizes are what a try has sent and received, in bytes and lines.
type messageSizes struct{ requestBody, head, lines, body uint64 }

// chargeTry counts what track_cluster_stats asks for, as a try ends.
func (u *upstreamRequest) chargeTry() {
	f := u.f
	if !u.active || f.cluster == nil {
		return
	}
	info, w := f.cluster.Info(), f.cb.Worker()
	if info.Budgets != nil && !u.outOfTime { // as Envoy
		info.Budgets.For(w).PerTry.Record(percentOf(f.cb.Loop().Now()-u.began, f.timeouts.perTry))
	}
	if info.Sizes == nil {
		return
	}
	s, h := info.Sizes.For(w), f.cb.RequestHeaders()
	s.RequestHeaders.Record(uint64(h.Bytes()))
	s.RequestHeaderCount.Record(uint64(h.Len()))
	s.RequestBody.Record(u.sizes.requestBody)
	if u.started {
		s.ResponseHeaders.Record(u.sizes.head)
		s.ResponseHeaderCount.Record(u.sizes.lines)
		s.ResponseBody.Record(u.sizes.body)
	}
}

// chargeBudget counts how much of its timeout the request has used.
func (f *filter) chargeBudget() {
	if b := f.cluster.Info().Budgets; b != nil && f.requestEnd {
		b.For(f.cb.Worker()).Request.Record(percentOf(f.elapsed(), f.timeouts.global))
	}
}

// percentOf is how much of a timeout is used; none of one that never ends.
func percentOf(used, timeout time.Duration) uint64 {
	if timeout == 0 {
		return 0
	}
	return uint64(100 * used.Milliseconds() / max(timeout.Milliseconds(), 1))
}

func (f *filter) internal() bool { return f.cb.RequestHeaders().Get(http.XEnvoyInternal) == "true" }
