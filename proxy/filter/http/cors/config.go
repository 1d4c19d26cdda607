package cors

import (
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the types of the filter's configuration and of
// a route's.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
)

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{New: newFactory, RouteConfig: newPolicy, RouteTypeURL: RouteTypeURL}
}

func newFactory(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	if err := protos.Unpack(p, config, &corsv3.Cors{}); err != nil {
		return nil, err
	}
	return &factory{stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "cors."})}, nil
}

func newPolicy(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
	m := &corsv3.CorsPolicy{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	c := &policy{
		methods: m.GetAllowMethods(), headers: m.GetAllowHeaders(), expose: m.GetExposeHeaders(), maxAge: m.GetMaxAge(),
		credentials: option(m.GetAllowCredentials()), privateNetwork: option(m.GetAllowPrivateNetworkAccess()),
		forwardOthers: option(m.GetForwardNotMatchingPreflights()),
	}
	rx := matcher.NewRegexes()
	for i, o := range m.GetAllowOriginStringMatch() {
		s, err := matcher.NewString(p.Dot("allow_origin_string_match").Index(i), o, rx)
		if err != nil {
			return nil, err
		}
		c.origins = append(c.origins, s)
	}
	var err error
	if c.enabled, err = fraction.NewPercent(p.Dot("filter_enabled"), m.GetFilterEnabled(), fraction.Of(100, 100), ctx.Runtime); err != nil {
		return nil, err
	}
	c.shadow, err = fraction.NewPercent(p.Dot("shadow_enabled"), m.GetShadowEnabled(), fraction.Of(0, 100), ctx.Runtime)
	return c, err
}

func option(b *wrapperspb.BoolValue) *bool {
	if b == nil {
		return nil
	}
	v := b.GetValue()
	return &v
}
