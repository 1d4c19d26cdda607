package setfilterstate

import (
	statev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/filterstate"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.set_filter_state.v3.Config"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config)
			return factory{s}, err
		},
		RouteConfig: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
			return compile(p, config)
		},
	}
}

func compile(p field.Path, config *anypb.Any) (*settings, error) {
	m := &statev3.Config{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "on_request_headers", "clear_route_cache"); err != nil {
		return nil, err
	}
	values, err := filterstate.Compile(p.Dot("on_request_headers"), m.GetOnRequestHeaders())
	return &settings{values: values, clearRoute: m.GetClearRouteCache()}, err
}
