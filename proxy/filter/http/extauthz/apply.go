package extauthz

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// metadataNamespace is where a server's dynamic metadata goes, whatever the
// filter is called.
const metadataNamespace = "envoy.filters.http.ext_authz"

// onVerdict takes the server's answer.
func (f *filter) onVerdict(v *verdict) {
	f.cancel = nil
	if f.destroyed || f.done {
		return
	}
	f.waiting = false
	f.logCall()
	if len(v.metadata) > 0 {
		f.takeMetadata(v)
	}
	if v.outcome != authz.Failed && f.validate && !valid(v) {
		if v.outcome == authz.Denied {
			f.stats.Denied.Inc() // Envoy looks at a denial's headers behind that
		}
		f.invalid()
		return
	}
	switch v.outcome {
	case authz.Allowed:
		f.allow(v)
	case authz.Denied:
		f.deny(v)
	default:
		f.fail(v)
	}
}

func (f *filter) takeMetadata(v *verdict) {
	if !f.ingest {
		f.stats.IgnoredDynamicMetadata.Inc()
		return
	}
	info := f.cb.StreamInfo()
	for k, v := range v.metadata {
		info.SetMetadata(metadataNamespace, k, v)
	}
	if v.outcome == authz.Allowed {
		info.SetMetadata(metadataNamespace, "ext_authz_duration", float64((f.cb.Loop().Now()-f.askedAt)/time.Millisecond))
	}
}

func (f *filter) allow(v *verdict) {
	h := f.cb.RequestHeaders()
	changed := f.changesRoute(v)
	s, _ := f.routed() // before the route may change
	for _, c := range v.request {
		switch f.rules.Set(c.name) {
		case headerrules.Fail:
			f.invalid()
			return
		case headerrules.Allow:
			applyChange(h, c)
		}
	}
	for _, name := range v.remove {
		switch f.rules.Remove(name) {
		case headerrules.Fail:
			f.invalid()
			return
		case headerrules.Allow:
			h.RemoveName(name)
		}
	}
	if len(v.querySet) > 0 || len(v.queryRemove) > 0 {
		h.Set(http.Path, h.Own(changeQuery(h.Get(http.Path), v.querySet, v.queryRemove)))
	}
	if h.OverLimits() {
		f.stats.RequestHeaderLimitsReached.Inc()
		f.reject(s)
		return
	}
	f.response = v.response
	if changed && f.clearRouteCache {
		f.cb.ClearRouteCache()
	}
	f.stats.OK.Inc()
	if s != nil {
		s.OK.Inc()
	}
	if f.shadow {
		f.note("OK", 200, nil)
	}
	f.goOn()
}

// changesRoute tells whether what the server orders can make the request take
// another route.
func (f *filter) changesRoute(v *verdict) bool {
	if len(v.querySet) > 0 || len(v.queryRemove) > 0 {
		return true
	}
	if len(f.routeHeaders) == 0 {
		return len(v.request) > 0 || len(v.remove) > 0
	}
	matters := func(name string) bool { return slices.Contains(f.routeHeaders, name) }
	return slices.ContainsFunc(v.request, func(c change) bool { return matters(c.name) }) || slices.ContainsFunc(v.remove, matters)
}

func (f *filter) goOn() {
	f.done = true
	f.cb.ContinueDecoding()
}

func (f *filter) deny(v *verdict) {
	f.stats.Denied.Inc()
	if s, c := f.routed(); s != nil {
		s.Denied.Inc()
		if f.chargeCluster {
			c.UpstreamRq.Inc(v.status)
			c.InternalRq.Inc(v.status)
		}
	}
	if f.shadow {
		f.stats.ShadowDenied.Inc()
		f.note("DENIED", v.status, v.response)
		f.goOn()
		return
	}
	body := v.body
	if f.maxDeniedBody > 0 && len(body) > f.maxDeniedBody {
		body = body[:f.maxDeniedBody]
	}
	f.refuse(v.status, body, v.response, "ext_authz_denied")
}

// fail is for a server that gives no verdict.
func (f *filter) fail(v *verdict) {
	f.stats.Error.Inc()
	s, _ := f.routed()
	if s != nil {
		s.Error.Inc()
	}
	status := f.statusOnError
	if v.status != 0 {
		status = v.status
	}
	if f.shadow {
		f.stats.ShadowError.Inc()
		f.note("ERROR", status, v.response)
		f.goOn()
		return
	}
	if !f.allowOnFailure {
		f.refuse(status, v.body, v.response, "ext_authz_error")
		return
	}
	f.stats.FailureModeAllowed.Inc()
	if s != nil {
		s.FailureModeAllowed.Inc()
	}
	if f.failureHeader {
		f.cb.RequestHeaders().SetName("x-envoy-auth-failure-mode-allowed", "true")
	}
	f.goOn()
}

// invalid answers for a server that orders what it must not.
func (f *filter) invalid() {
	s, _ := f.routed()
	if !f.shadow {
		f.reject(s)
		return
	}
	f.stats.Invalid.Inc()
	if s != nil {
		s.Invalid.Inc()
	}
	f.note("ERROR", 500, nil)
	f.goOn()
}

// reject answers 500 in shadow mode, too. s may be nil.
func (f *filter) reject(s *ClusterStats) {
	f.stats.Invalid.Inc()
	if s != nil {
		s.Invalid.Inc()
	}
	f.refuse(500, "", nil, "ext_authz_invalid")
}

// routed is the cluster that the request will go to: its authorization
// statistics and its own; nil when it is not known.
func (f *filter) routed() (*ClusterStats, *cluster.Stats) {
	r, ok := f.cb.Route().(interface {
		Cluster(*http.HeaderMap) string
	})
	if !ok {
		return nil, nil
	}
	c := f.table(f.cb.Worker()).Get(r.Cluster(f.cb.RequestHeaders()))
	if c == nil {
		return nil, nil
	}
	return f.clusterStats(f.cb.Worker(), c.Info().StatName), c.Stats()
}

// applyChange changes a header map.
func applyChange(h *http.HeaderMap, c change) {
	old, there := h.GetName(c.name)
	switch {
	case c.action == set, c.action == overwrite && there:
		h.SetName(h.Own(c.name), h.Own(c.value))
	case c.action == appendTo && there:
		h.SetName(h.Own(c.name), h.Concat(old, ",", c.value))
	case c.action == add, c.action == addIfAbsent && !there:
		h.AddJoined(h.Own(c.name), h.Own(c.value))
	}
}

// valid tells whether all that a server orders can be sent.
func valid(v *verdict) bool {
	for _, list := range [][]change{v.request, v.response} {
		for _, c := range list {
			if !validName(c.name) || !validValue(c.value) {
				return false
			}
		}
	}
	for _, q := range v.querySet {
		if url.QueryEscape(q[0]) != q[0] || !validValue(q[1]) {
			return false
		}
	}
	return true
}

func validName(s string) bool { return http.IsToken(strings.TrimPrefix(s, ":")) }

func validValue(s string) bool { return !strings.ContainsAny(s, "\r\n\x00") }

// changeQuery sets and removes parameters of a path's query.
func changeQuery(path string, set [][2]string, remove []string) string {
	base, query, _ := strings.Cut(path, "?")
	var kept []string
	drop := func(name string) bool {
		for _, r := range remove {
			if r == name {
				return true
			}
		}
		for _, s := range set {
			if s[0] == name {
				return true
			}
		}
		return false
	}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if query != "" && !drop(name) {
			kept = append(kept, name+"="+value) // as Envoy prints it
		}
	}
	for i, s := range set {
		if !slices.ContainsFunc(set[i+1:], func(later [2]string) bool { return later[0] == s[0] }) {
			kept = append(kept, s[0]+"="+s[1])
		}
	}
	if len(kept) == 0 {
		return base
	}
	// Envoy puts the parameters in the order of their names.
	slices.SortStableFunc(kept, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return base + "?" + strings.Join(kept, "&")
}
