package upstream

import (
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// managerStats are Envoy's "cluster_manager.".
type managerStats struct {
	ClusterAdded           stats.Counter `stat:"cluster_added"`
	ClusterModified        stats.Counter `stat:"cluster_modified"`
	ClusterRemoved         stats.Counter `stat:"cluster_removed"`
	ClusterUpdated         stats.Counter `stat:"cluster_updated"`
	ClusterUpdatedViaMerge stats.Counter `stat:"cluster_updated_via_merge"`
	UpdateMergeCancelled   stats.Counter `stat:"update_merge_cancelled"`
	UpdateOutOfMergeWindow stats.Counter `stat:"update_out_of_merge_window"`
	ActiveClusters         stats.Gauge   `stat:"active_clusters"`
	WarmingClusters        stats.Gauge   `stat:"warming_clusters"`
}

// tableStats are a thread's, "thread_local_cluster_manager.<thread>.".
type tableStats struct {
	Inflated stats.Gauge `stat:"clusters_inflated"`
}

// endpointStats are the statistics that main keeps of a cluster, beside the
// workers' cluster.Stats.
type endpointStats struct {
	AssignmentStale     stats.Counter `stat:"assignment_stale"`
	AssignmentTimeout   stats.Counter `stat:"assignment_timeout_received"`
	AssignmentUseCached stats.Counter `stat:"assignment_use_cached"`
	TransportMatches    stats.Counter `stat:"default.total_match_count"` // of hosts with the default transport socket
	MaxHostWeight       stats.Gauge   `stat:"max_host_weight"`
	MembershipChange    stats.Counter `stat:"membership_change"`
	MembershipTotal     stats.Gauge   `stat:"membership_total"`
	MembershipHealthy   stats.Gauge   `stat:"membership_healthy"`
	MembershipDegraded  stats.Gauge   `stat:"membership_degraded"`
	MembershipExcluded  stats.Gauge   `stat:"membership_excluded"`
	Version             stats.Gauge   `stat:"version"`
	WarmingState        stats.Gauge   `stat:"warming_state"`
	UpdateAttempt       stats.Counter `stat:"update_attempt"`
	UpdateSuccess       stats.Counter `stat:"update_success"`
	UpdateFailure       stats.Counter `stat:"update_failure"`
	UpdateEmpty         stats.Counter `stat:"update_empty"`
	UpdateNoRebuild     stats.Counter `stat:"update_no_rebuild"`
}

// subscriptionStats are the part of Envoy's subscription statistics that an
// EDS cluster has beyond those of every cluster.
type subscriptionStats struct {
	InitFetchTimeout stats.Counter `stat:"init_fetch_timeout"`
	UpdateRejected   stats.Counter `stat:"update_rejected"`
	UpdateTime       stats.Gauge   `stat:"update_time"` // UNIX milliseconds

	VersionText    stats.Text      `stat:"version_text"`
	UpdateDuration stats.Histogram `stat:"update_duration"` // ms
}

// priorityNames are the priorities in names of statistics and runtime keys.
var priorityNames = [cluster.NumPriorities]string{"default", "high"}

// trackMore makes the statistics that only some configurations ask for:
// track_cluster_stats, and the circuit breakers' remaining_* gauges.
func (c *config) trackMore() {
	if c.trackSizes {
		c.info.Sizes = stats.NewGroup[cluster.SizeStats](c.info.Store, c.info.StatScope())
	}
	if c.trackBudgets {
		c.info.Budgets = stats.NewGroup[cluster.BudgetStats](c.info.Store, c.info.StatScope())
	}
	for p, name := range priorityNames {
		if c.track[p] {
			scope := stats.Scope{Prefix: c.info.StatScope().Prefix + "circuit_breakers." + name + "."}
			c.info.Resources[p].Track(stats.NewGroup[cluster.RemainingStats](c.info.Store, scope))
		}
	}
}

// closeFilters ends what the cluster's HTTP filters hold.
func (c *config) closeFilters() {
	if c.info == nil {
		return
	}
	if x, ok := c.info.HTTPFilters.(interface{ Close() }); ok {
		x.Close()
	}
}

// untrack takes the cluster's statistics off the pages.
func (c *config) untrack() {
	c.info.StatGroup.Close()
	if c.info.Sizes != nil {
		c.info.Sizes.Close()
	}
	if c.info.Budgets != nil {
		c.info.Budgets.Close()
	}
	for p := range c.info.Resources {
		if g := c.info.Resources[p].Remaining; g != nil {
			g.Close()
		}
	}
}
