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

// endpointStats are the statistics that main keeps of a cluster, beside the
// workers' cluster.Stats.
type endpointStats struct {
	AssignmentStale     stats.Counter `stat:"assignment_stale"`
	AssignmentTimeout   stats.Counter `stat:"assignment_timeout_received"`
	AssignmentUseCached stats.Counter `stat:"assignment_use_cached"`
	MaxHostWeight       stats.Gauge   `stat:"max_host_weight"`
	MembershipChange    stats.Counter `stat:"membership_change"`
	MembershipTotal     stats.Gauge   `stat:"membership_total"`
	MembershipHealthy   stats.Gauge   `stat:"membership_healthy"`
	MembershipDegraded  stats.Gauge   `stat:"membership_degraded"`
	MembershipExcluded  stats.Gauge   `stat:"membership_excluded"`
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
}

// statScope is where a cluster's statistics are.
func statScope(i *cluster.Info) stats.Scope {
	return stats.Scope{Prefix: "cluster." + i.StatName + "."}
}
