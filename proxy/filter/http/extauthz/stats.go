package extauthz

import (
	"sync"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are under http.<prefix>.ext_authz.
type Stats struct {
	Denied                 stats.Counter `stat:"denied"`
	Disabled               stats.Counter `stat:"disabled"`
	Error                  stats.Counter `stat:"error"`
	FailureModeAllowed     stats.Counter `stat:"failure_mode_allowed"`
	Invalid                stats.Counter `stat:"invalid"`
	IgnoredDynamicMetadata stats.Counter `stat:"ignored_dynamic_metadata"`
	OK                     stats.Counter `stat:"ok"`

	FilterStateNameCollision   stats.Counter `stat:"filter_state_name_collision"`
	OmittedResponseHeaders     stats.Counter `stat:"omitted_response_headers"` // Envoy has stopped to omit any
	RequestHeaderLimitsReached stats.Counter `stat:"request_header_limits_reached"`
	ResponseHeaderLimits       stats.Counter `stat:"response_header_limits_reached"`
	ShadowDenied               stats.Counter `stat:"shadow_denied"`
	ShadowError                stats.Counter `stat:"shadow_error"`
}

// ClusterStats are under cluster.<name>.ext_authz. for the cluster that the
// request is routed to.
type ClusterStats struct {
	Denied             stats.Counter `stat:"denied,omitempty"`
	Error              stats.Counter `stat:"error,omitempty"`
	FailureModeAllowed stats.Counter `stat:"failure_mode_allowed,omitempty"`
	Invalid            stats.Counter `stat:"invalid,omitempty"`
	OK                 stats.Counter `stat:"ok,omitempty"`
}

// clusterGroups are the groups of clusters seen so far, for all workers.
type clusterGroups struct {
	mu   sync.Mutex
	open map[string]*stats.Group[ClusterStats]
}

func (f *factory) makeStats(ctx *http.FactoryContext, prefix string) {
	if prefix != "" {
		prefix += "."
	}
	f.store, f.statPrefix = ctx.Stats, "ext_authz."+prefix
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + f.statPrefix})
	f.workers = make([]worker, len(ctx.Loops))
}

// worker is what a factory has on each worker.
type worker struct {
	clusters map[string]*ClusterStats
}

// clusterStats are the worker's part of a cluster's statistics.
func (f *factory) clusterStats(w int, statName string) *ClusterStats {
	wk := &f.workers[w]
	if s := wk.clusters[statName]; s != nil {
		return s
	}
	f.groups.mu.Lock()
	defer f.groups.mu.Unlock()
	g := f.groups.open[statName]
	if g == nil {
		g = stats.NewGroup[ClusterStats](f.store, stats.Scope{Prefix: "cluster." + statName + "." + f.statPrefix})
		if f.groups.open == nil {
			f.groups.open = map[string]*stats.Group[ClusterStats]{}
		}
		f.groups.open[statName] = g
	}
	if wk.clusters == nil {
		wk.clusters = map[string]*ClusterStats{}
	}
	s := g.For(w)
	wk.clusters[statName] = s
	return s
}

// Close ends the filter's statistics.
func (f *factory) Close() {
	f.group.Close()
	f.groups.mu.Lock()
	defer f.groups.mu.Unlock()
	for _, g := range f.groups.open {
		g.Close()
	}
	f.groups.open = nil
}
