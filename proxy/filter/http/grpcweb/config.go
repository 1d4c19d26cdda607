package grpcweb

import (
	grpcwebv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/callstats"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"

// Maker makes the filter's factories; clusters gives each worker's cluster
// table.
func Maker(clusters func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(_ field.Path, _ *grpcwebv3.GrpcWeb, ctx *http.FactoryContext) (http.FilterFactory, error) {
		return &factory{callstats.NewTables(ctx.Stats, ctx.Loops, clusters, "grpc-web")}, nil
	})}
}
