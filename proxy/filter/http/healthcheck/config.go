package healthcheck

import (
	"maps"
	"slices"

	healthv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck"

// Maker makes the filter's factories; clusters gives each worker's cluster
// table.
func Maker(clusters func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *healthv3.HealthCheck, ctx *http.FactoryContext) (http.FilterFactory, error) {
		if err := field.Only(p, m, "pass_through_mode", "cache_time", "cluster_min_healthy_percentages", "headers"); err != nil {
			return nil, err
		}
		f := &factory{passThrough: m.GetPassThroughMode().GetValue(), failed: ctx.HealthCheckFailed, serviceCluster: ctx.ServiceCluster, clusters: clusters}
		cacheTime := m.GetCacheTime().AsDuration()
		switch {
		case cacheTime > 0 && !f.passThrough:
			return nil, p.Dot("cache_time").Errorf("cache_time must not be set when pass_through_mode is disabled")
		case cacheTime > 0:
			f.cache = &cache{keep: cacheTime}
		}
		all := m.GetClusterMinHealthyPercentages()
		if f.passThrough {
			all = nil // of no use then, as in Envoy
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			f.minimums = append(f.minimums, minimum{name, all[name].GetValue()})
		}
		var err error
		if f.headers, err = matcher.NewHeaders(p.Dot("headers"), m.GetHeaders(), matcher.NewRegexes()); err != nil {
			return nil, err
		}
		f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "health_check."})
		return f, nil
	})}
}
