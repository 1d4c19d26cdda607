package grpchttp1bridge

import (
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.grpc_http1_bridge.v3.Config"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: http.NewFrom(func(p field.Path, m *bridgev3.Config, _ *http.FactoryContext) (http.FilterFactory, error) {
		return factory{upgrade: m.GetUpgradeProtobufToGrpc(), ignoreQuery: m.GetIgnoreQueryParameters()}, field.Only(p, m, "upgrade_protobuf_to_grpc", "ignore_query_parameters")
	})}
}
