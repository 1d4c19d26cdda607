package grpchttp1reversebridge

import (
	bridgev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_reverse_bridge/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfigPerRoute"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		RouteTypeURL: RouteTypeURL,
		New: http.NewFrom(func(p field.Path, m *bridgev3.FilterConfig, _ *http.FactoryContext) (*factory, error) {
			if err := field.Only(p, m, "content_type", "withhold_grpc_frames", "response_size_header"); err != nil {
				return nil, err
			}
			if m.GetContentType() == "" {
				return nil, p.Dot("content_type").Errorf("missing")
			}
			return &factory{m.GetContentType(), m.GetWithholdGrpcFrames(), matcher.LowerASCII(m.GetResponseSizeHeader())}, nil
		}),
		RouteConfig: http.RouteFrom(func(p field.Path, m *bridgev3.FilterConfigPerRoute, _ *http.FactoryContext) (disabled, error) {
			return disabled(m.GetDisabled()), field.Only(p, m, "disabled")
		}),
	}
}
