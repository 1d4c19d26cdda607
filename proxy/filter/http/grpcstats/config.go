package grpcstats

import (
	grpcstatsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/callstats"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig"

// Maker makes the filter's factories; clusters gives each worker's cluster
// table.
func Maker(clusters func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *grpcstatsv3.FilterConfig, ctx *http.FactoryContext) (http.FilterFactory, error) {
		if err := field.Only(p, m, "emit_filter_state", "individual_method_stats_allowlist", "stats_for_all_methods", "enable_upstream_stats", "replace_dots_in_grpc_service_name"); err != nil {
			return nil, err
		}
		f := &factory{
			tables:       callstats.NewTables(ctx.Stats, ctx.Loops, clusters, "grpc"),
			allMethods:   m.GetStatsForAllMethods().GetValue(),
			state:        m.GetEmitFilterState(),
			upstreamTime: m.GetEnableUpstreamStats(),
			replaceDots:  m.GetReplaceDotsInGrpcServiceName(),
			methods:      map[method]bool{},
		}
		for _, s := range m.GetIndividualMethodStatsAllowlist().GetServices() {
			for _, name := range s.GetMethodNames() {
				f.methods[method{s.GetName(), name}] = true
			}
		}
		return f, nil
	})}
}
