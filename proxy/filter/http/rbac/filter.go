package rbac

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/rbac"
	"github.com/weirproxy/weir/proxy/stats"
)

// Enforced are at http.<stat_prefix>.rbac.[<rules_stat_prefix>.], and with
// track_per_rule_stats at http.<stat_prefix>.rbac.<prefix>.policy.<name>. too.
type Enforced struct {
	Allowed stats.Counter `stat:"allowed"`
	Denied  stats.Counter `stat:"denied"`
}

// Shadow are at http.<stat_prefix>.rbac.[<shadow_rules_stat_prefix>.], and
// with track_per_rule_stats at http.<stat_prefix>.rbac.<prefix>.policy.<name>. too.
type Shadow struct {
	Allowed stats.Counter `stat:"shadow_allowed"`
	Denied  stats.Counter `stat:"shadow_denied"`
}

const namespace = "envoy.filters.http.rbac"

// rules are a filter's, or those that a route has instead.
type rules struct {
	enforced, shadow                 *rbac.Engine // nil: nothing is checked
	policyKey, resultKey             string       // in the dynamic metadata
	shadowPolicyKey, shadowResultKey string
}

type factory struct {
	rules    *rules
	enforced *stats.Group[Enforced]
	shadow   *stats.Group[Shadow]
	// Those of each policy, by its name: nil unless they are counted.
	enforcedPolicies map[string]*stats.Group[Enforced]
	shadowPolicies   map[string]*stats.Group[Shadow]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, f: f, enforced: f.enforced.For(w), shadow: f.shadow.For(w)}
}

// Close ends the statistics.
func (f *factory) Close() {
	f.enforced.Close()
	f.shadow.Close()
	for _, g := range f.enforcedPolicies {
		g.Close()
	}
	for _, g := range f.shadowPolicies {
		g.Close()
	}
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
		if g, ok := f.f.enforcedPolicies[v.Policy]; ok {
			g.For(f.cb.Worker()).Allowed.Inc()
		}
		return http.HeadersContinue
	}
	f.enforced.Denied.Inc()
	if g, ok := f.f.enforcedPolicies[v.Policy]; ok {
		g.For(f.cb.Worker()).Denied.Inc()
	}
	f.cb.SendLocalReply(403, "RBAC: access denied", nil, http.NoGrpcStatus, v.Details())
	return http.HeadersStopIteration
}

func (f *filter) checkShadow(r *rules, h *http.HeaderMap) {
	v := f.check(r.shadow, h)
	f.note(r.shadowPolicyKey, r.shadowResultKey, v)
	g, ok := f.f.shadowPolicies[v.Policy]
	if v.Allowed {
		f.shadow.Allowed.Inc()
		if ok {
			g.For(f.cb.Worker()).Allowed.Inc()
		}
		return
	}
	f.shadow.Denied.Inc()
	if ok {
		g.For(f.cb.Worker()).Denied.Inc()
	}
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
