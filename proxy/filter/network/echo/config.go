package echo

import (
	echov3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"

// Factory makes the filter's factories.
func Factory() listener.NetworkFactory { return listener.NetworkFrom(compile) }

func compile(field.Path, *echov3.Echo, *listener.FactoryContext) (network.FilterFactory, error) {
	return newFilter, nil
}
