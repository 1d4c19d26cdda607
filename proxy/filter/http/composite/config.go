// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package composite

import (
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	matchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	compositev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/composite/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/xds/protos"
)

// The types of the configurations.
const (
	MatcherTypeURL      = "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher"
	matcherRouteTypeURL = "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute"
	TypeURL             = "type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite"
	routeTypeURL        = "type.googleapis.com/envoy.extensions.filters.http.composite.v3.CompositePerRoute"

	skipType    = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
	executeType = "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction"
)

// Lookup finds the maker of a filter's configuration.
type Lookup func(config *anypb.Any) (http.FilterMaker, bool)

// Makers makes both kinds of factories, by type URL.
func Makers(lookup Lookup) map[string]http.FilterMaker {
	c := compiler{lookup}
	return map[string]http.FilterMaker{
		MatcherTypeURL: {New: c.withMatcher, RouteTypeURL: matcherRouteTypeURL, RouteConfig: c.matcherRoute},
		TypeURL:        {New: c.composite, RouteTypeURL: routeTypeURL, RouteConfig: c.compositeRoute},
	}
}

type compiler struct{ lookup Lookup }

func (c compiler) withMatcher(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	m := &matchingv3.ExtensionWithMatcher{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	f := &factory{}
	var err error
	if old := m.GetMatcher(); old != nil && m.GetXdsMatcher() == nil {
		same, err := tree.FromEnvoy(p.Dot("matcher"), old)
		if err != nil {
			return nil, err
		}
		if f.choices, err = c.choices(p.Dot("matcher"), same, ctx); err != nil {
			return nil, err
		}
	} else if f.choices, err = c.choices(p.Dot("xds_matcher"), m.GetXdsMatcher(), ctx); err != nil {
		return nil, err
	}
	inner := m.GetExtensionConfig().GetTypedConfig()
	if protos.TypeName(inner) == "envoy.extensions.filters.http.composite.v3.Composite" {
		return f, c.emptyComposite(p.Dot("extension_config.typed_config"), inner)
	}
	f.inner, err = c.filter(p.Dot("extension_config.typed_config"), inner, ctx)
	return f, err
}

// emptyComposite checks the inner configuration of a composite whose matcher
// stands outside.
func (c compiler) emptyComposite(p field.Path, config *anypb.Any) error {
	m := &compositev3.Composite{}
	if err := protos.Unpack(p, config, m); err != nil {
		return err
	}
	return field.Only(p, m)
}

func (c compiler) composite(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	m := &compositev3.Composite{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "matcher"); err != nil {
		return nil, err
	}
	f := &factory{}
	var err error
	if m.GetMatcher() != nil {
		f.choices, err = c.choices(p.Dot("matcher"), m.GetMatcher(), ctx)
	}
	return f, err
}

func (c compiler) matcherRoute(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
	m, err := protos.UnpackAs[*matchingv3.ExtensionWithMatcherPerRoute](p, config)
	if err != nil {
		return nil, err
	}
	return c.choices(p.Dot("xds_matcher"), m.GetXdsMatcher(), ctx)
}

func (c compiler) compositeRoute(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
	m, err := protos.UnpackAs[*compositev3.CompositePerRoute](p, config)
	if err != nil {
		return nil, err
	}
	return c.choices(p.Dot("matcher"), m.GetMatcher(), ctx)
}

func (c compiler) choices(p field.Path, m *xdsmatcherv3.Matcher, ctx *http.FactoryContext) (*choices, error) {
	if m == nil {
		return nil, p.Errorf("is required")
	}
	out := &choices{}
	var err error
	out.tree, err = tree.Compile(p, m, tree.Options[choice]{HTTP: true, Runtime: ctx.Runtime, Action: func(p field.Path, _ string, config *anypb.Any) (choice, error) {
		switch name := protos.TypeName(config); name {
		case skipType:
			return choice{}, nil
		case executeType:
			x, err := c.execute(p, config, ctx)
			if x.run != nil {
				out.filters = append(out.filters, x.run)
			}
			return x, err
		default:
			return choice{}, p.Errorf("weir has no action %q here", name)
		}
	}})
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

func (c compiler) execute(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (choice, error) {
	m := &compositev3.ExecuteFilterAction{}
	if err := protos.Unpack(p, config, m); err != nil {
		return choice{}, err
	}
	if err := field.Only(p, m, "typed_config", "sample_percent"); err != nil {
		return choice{}, err
	}
	share, err := fraction.NewPercent(p.Dot("sample_percent"), m.GetSamplePercent(), fraction.Of(100, 100), ctx.Runtime)
	if err != nil {
		return choice{}, err
	}
	f, err := c.filter(p.Dot("typed_config.typed_config"), m.GetTypedConfig().GetTypedConfig(), ctx)
	return choice{run: f, share: share}, err
}

func (c compiler) filter(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	maker, ok := c.lookup(config)
	switch {
	case !ok:
		return nil, p.Errorf("weir has no HTTP filter of type %q", config.GetTypeUrl())
	case maker.Terminal:
		return nil, p.Errorf("a terminal filter cannot be chosen by a matcher")
	}
	return maker.New(p, config, ctx)
}
