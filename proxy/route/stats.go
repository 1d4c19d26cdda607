package route

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
)

// RequestStats is what virtual clusters, under
// vhost.<virtual host>.vcluster.<name>., and routes with a stat_prefix, under
// vhost.<virtual host>.route.<stat_prefix>., count, with Envoy's names.
type RequestStats struct {
	Retry              stats.Counter   `stat:"upstream_rq_retry"`
	RetryLimitExceeded stats.Counter   `stat:"upstream_rq_retry_limit_exceeded"`
	RetryOverflow      stats.Counter   `stat:"upstream_rq_retry_overflow"`
	RetrySuccess       stats.Counter   `stat:"upstream_rq_retry_success"`
	Timeout            stats.Counter   `stat:"upstream_rq_timeout"`
	Total              stats.Counter   `stat:"upstream_rq_total"`
	Time               stats.Histogram `stat:"upstream_rq_time"`
	Codes              stats.Codes     `stat:"upstream_rq_"`
}

type statsGroup = stats.Group[RequestStats]

// VirtualCluster names a share of a virtual host's requests for statistics.
type VirtualCluster struct {
	Name string
	// Rest tells that it takes what no configured one does.
	Rest    bool
	headers []matcher.Header
	stats   *statsGroup // nil without a store
}

// Stats is the worker's part of the statistics; nil when nothing is counted.
func (c *VirtualCluster) Stats(worker int) *RequestStats {
	if c.stats == nil {
		return nil
	}
	return c.stats.For(worker)
}

// VirtualCluster is the first virtual cluster that takes the request: "other"
// when there are some and none does; nil when the virtual host has none.
func (r *Route) VirtualCluster(h *http.HeaderMap) *VirtualCluster {
	all := r.entry.vhost.virtualClusters
	for i := range all {
		if matcher.MatchHeaders(all[i].headers, h) {
			return &all[i]
		}
	}
	return nil
}

// Stats is the worker's part of the statistics of a route with a stat_prefix;
// nil for other routes.
func (r *Route) Stats(worker int) *RequestStats {
	if g := r.entry.more().stats; g != nil {
		return g.For(worker)
	}
	return nil
}

// group makes statistics that end with the configuration.
func (k *compiler) group(prefix string) *statsGroup {
	if k.Stats == nil {
		return nil
	}
	g := stats.NewGroup[RequestStats](k.Stats, stats.Scope{Prefix: prefix})
	k.config.closers = append(k.config.closers, g)
	return g
}
