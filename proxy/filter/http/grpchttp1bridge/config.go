package grpchttp1bridge

import (
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.grpc_http1_bridge.v3.Config"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
		m := &bridgev3.Config{}
		if err := protos.Unpack(p, config, m); err != nil {
			return nil, err
		}
		return factory{upgrade: m.GetUpgradeProtobufToGrpc(), ignoreQuery: m.GetIgnoreQueryParameters()}, field.Only(p, m, "upgrade_protobuf_to_grpc", "ignore_query_parameters")
	}}
}
