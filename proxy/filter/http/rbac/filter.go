package rbac

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/rbac"
	"github.com/weirproxy/weir/proxy/stats"
)

const namespace = "envoy.filters.http.rbac"

// rules are a filter's, or those that a route has instead.
type rules struct {
	enforced, shadow                 *rbac.Engine // nil: nothing is checked
	policyKey, resultKey             string       // in the dynamic metadata
	shadowPolicyKey, shadowResultKey string
	perPolicy                        bool // track_per_rule_stats
}

type factory struct {
	rules    *rules
	enforced *stats.Group[Enforced]
	shadow   *stats.Group[Shadow]

	enforcedPolicies *policies[EnforcedPolicy]
	shadowPolicies   *policies[ShadowPolicy]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, f: f, enforced: f.enforced.For(w), shadow: f.shadow.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() {
	f.enforced.Close()
	f.shadow.Close()
	f.enforcedPolicies.close()
	f.shadowPolicies.close()
}

type filter struct {
	http.PassRequestBody
	cb       http.FilterCallbacks
	f        *factory
	enforced *Enforced
	shadow   *Shadow
	data     tree.Data
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	r, ok := http.RouteConfig[*rules](f.cb)
	if !ok {
		r = f.f.rules
	}
	if r.shadow != nil {
		f.checkShadow(r, h)
	}
	if r.enforced == nil {
		return http.HeadersContinue
	}
	v := f.check(r.enforced, h)
	f.note(r.policyKey, r.resultKey, v)
	if v.Allowed {
		f.enforced.Allowed.Inc()
		if r.perPolicy && v.Policy != "" {
			f.f.enforcedPolicies.of(f.cb.Worker(), v.Policy).Allowed.Inc()
		}
		return http.HeadersContinue
	}
	f.enforced.Denied.Inc()
	if r.perPolicy && v.Policy != "" {
		f.f.enforcedPolicies.of(f.cb.Worker(), v.Policy).Denied.Inc()
	}
	f.cb.SendLocalReply(403, "RBAC: access denied", nil, http.NoGrpcStatus, v.Details())
	return http.HeadersStopIteration
}

func (f *filter) checkShadow(r *rules, h *http.HeaderMap) {
	v := f.check(r.shadow, h)
	f.note(r.shadowPolicyKey, r.shadowResultKey, v)
	policy := &ShadowPolicy{} // counts for nobody
	if r.perPolicy && v.Policy != "" {
		policy = f.f.shadowPolicies.of(f.cb.Worker(), v.Policy)
	}
	if v.Allowed {
		f.shadow.Allowed.Inc()
		policy.Allowed.Inc()
		return
	}
	f.shadow.Denied.Inc()
	policy.Denied.Inc()
}

func (f *filter) check(e *rbac.Engine, h *http.HeaderMap) rbac.Verdict {
	f.data.SetStream(f.cb.StreamInfo())
	f.data.RequestHeaders = h
	var metadata rbac.Metadata
	if r, ok := f.cb.Route().(interface {
		Metadata() map[string]map[string]any
	}); ok {
		metadata = r.Metadata()
	}
	v := e.Check(&f.data, metadata)
	if v.Hint {
		f.cb.StreamInfo().SetMetadata("envoy.common", "access_log_hint", v.LogHint)
	}
	return v
}

// note leaves the verdict in the dynamic metadata.
func (f *filter) note(policyKey, resultKey string, v rbac.Verdict) {
	i := f.cb.StreamInfo()
	i.SetMetadata(namespace, resultKey, v.Result())
	if v.Policy != "" {
		i.SetMetadata(namespace, policyKey, v.Name)
	}
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.data = tree.Data{} }
