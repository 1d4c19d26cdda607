package dynamicforward

import (
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{RouteConfig: http.RouteFrom(newRewrite), RouteTypeURL: RouteTypeURL, New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
		m, err := protos.UnpackAs[*forwardv3.FilterConfig](p, config)
		if err != nil {
			return nil, err
		}
		if err := field.Only(p, m, "dns_cache_config"); err != nil {
			return nil, err
		}
		if m.GetDnsCacheConfig() == nil {
			return nil, p.Dot("dns_cache_config").Errorf("missing")
		}
		cache, err := tables(ctx.Loops[len(ctx.Loops)-1].Worker).DNSCache(p.Dot("dns_cache_config"), m.GetDnsCacheConfig())
		if err != nil {
			return nil, err
		}
		return &factory{cache: cache, tables: tables}, nil
	}}
}

func newRewrite(p field.Path, m *forwardv3.PerRouteConfig, _ *http.FactoryContext) (any, error) {
	return &rewrite{literal: m.GetHostRewriteLiteral(), header: m.GetHostRewriteHeader()}, field.Only(p, m, "host_rewrite_literal", "host_rewrite_header")
}
