package echo

import (
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"

// New is a listener.NetworkFactory.
func New(p field.Path, config *anypb.Any, _ *listener.FactoryContext) (network.FilterFactory, error) {
	if err := protos.Unpack(p, config, &echov3.Echo{}); err != nil {
		return nil, err
	}
	return newFilter, nil
}
