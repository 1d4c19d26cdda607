package ratelimit

import (
	"sync"

	"github.com/weirproxy/weir/proxy/stats"
)

// ClusterStats are under cluster.<name>.ratelimit. for the cluster that the
// request is routed to.
type ClusterStats struct {
	Error              stats.Counter `stat:"error,omitempty"`
	FailureModeAllowed stats.Counter `stat:"failure_mode_allowed,omitempty"`
	OK                 stats.Counter `stat:"ok,omitempty"`
	OverLimit          stats.Counter `stat:"over_limit,omitempty"`
}

// clusterGroups are the groups of clusters seen so far, for all workers.
type clusterGroups struct {
	store  *stats.Store
	prefix string // "ratelimit."
	mu     sync.Mutex
	open   map[string]*stats.Group[ClusterStats]
}

func (c *clusterGroups) group(cluster string) *stats.Group[ClusterStats] {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.open[cluster]
	if g == nil {
		g = stats.NewGroup[ClusterStats](c.store, stats.Scope{Prefix: "cluster." + cluster + "." + c.prefix})
		if c.open == nil {
			c.open = map[string]*stats.Group[ClusterStats]{}
		}
		c.open[cluster] = g
	}
	return g
}

func (c *clusterGroups) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.open {
		g.Close()
	}
	c.open = nil
}

// worker is what a factory has on each worker.
type worker struct{ clusters map[string]*ClusterStats }

// clusterStats are the worker's part of a cluster's statistics.
func (f *factory) clusterStats(w int, cluster string) *ClusterStats {
	wk := &f.workers[w]
	s := wk.clusters[cluster]
	if s == nil {
		s = f.groups.group(cluster).For(w)
		if wk.clusters == nil {
			wk.clusters = map[string]*ClusterStats{}
		}
		wk.clusters[cluster] = s
	}
	return s
}
