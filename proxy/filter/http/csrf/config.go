package csrf

import (
	csrfv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/csrf/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.csrf.v3.CsrfPolicy"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			c, err := compile(p, config, ctx)
			if err != nil {
				return nil, err
			}
			return &factory{c, stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "csrf."})}, nil
		},
		RouteConfig: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
			return compile(p, config, ctx)
		},
	}
}

func compile(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*policy, error) {
	m := &csrfv3.CsrfPolicy{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "filter_enabled", "shadow_enabled", "additional_origins"); err != nil {
		return nil, err
	}
	c := &policy{}
	var err error
	if c.enabled, err = fraction.NewPercent(p.Dot("filter_enabled"), m.GetFilterEnabled(), fraction.Of(100, 100), ctx.Runtime); err != nil {
		return nil, err
	}
	if c.shadow, err = fraction.NewPercent(p.Dot("shadow_enabled"), m.GetShadowEnabled(), fraction.Of(0, 100), ctx.Runtime); err != nil {
		return nil, err
	}
	rx := matcher.NewRegexes()
	for i, o := range m.GetAdditionalOrigins() {
		s, err := matcher.NewString(p.Dot("additional_origins").Index(i), o, rx)
		if err != nil {
			return nil, err
		}
		c.origins = append(c.origins, s)
	}
	return c, nil
}
