package buffer

import (
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		Upstream:     true,
		RouteTypeURL: RouteTypeURL,
		New: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (http.FilterFactory, error) {
			m, err := protos.UnpackAs[*bufferv3.Buffer](p, config)
			return factory{settings{limit: m.GetMaxRequestBytes().GetValue()}}, err
		},
		RouteConfig: func(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
			m, err := protos.UnpackAs[*bufferv3.BufferPerRoute](p, config)
			return &settings{disabled: m.GetDisabled(), limit: m.GetBuffer().GetMaxRequestBytes().GetValue()}, err
		},
	}
}
