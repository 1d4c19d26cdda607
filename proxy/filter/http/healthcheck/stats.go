package healthcheck

import "github.com/weirproxy/weir/proxy/stats"

// Stats are at http.<stat_prefix>.health_check. They count the health checks
// that are answered here, not those that pass.
type Stats struct {
	RequestTotal           stats.Counter `stat:"request_total"`
	OK                     stats.Counter `stat:"ok"`
	Failed                 stats.Counter `stat:"failed"`
	CachedResponse         stats.Counter `stat:"cached_response"`
	Degraded               stats.Counter `stat:"degraded"`
	FailedClusterNotFound  stats.Counter `stat:"failed_cluster_not_found"`
	FailedClusterEmpty     stats.Counter `stat:"failed_cluster_empty"`
	FailedClusterUnhealthy stats.Counter `stat:"failed_cluster_unhealthy"`
}
