// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package composite

import (
	"cmp"

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
type Lookup = http.FilterLookup

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
		f.group = newStats(ctx)
		return f, c.innerComposite(p.Dot("extension_config.typed_config"), inner, f, ctx)
	}
	f.inner, err = c.filter(p.Dot("extension_config.typed_config"), inner, ctx)
	return f, err
}

// innerComposite compiles the inner configuration of a composite whose matcher
// stands outside.
func (c compiler) innerComposite(p field.Path, config *anypb.Any, f *factory, ctx *http.FactoryContext) error {
	m := &compositev3.Composite{}
	if err := protos.Unpack(p, config, m); err != nil {
		return err
	}
	if err := field.Only(p, m, "named_filter_chains"); err != nil {
		return err
	}
	return c.namedChains(p, m, f, ctx)
}

func (c compiler) composite(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
	m := &compositev3.Composite{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "named_filter_chains", "matcher"); err != nil {
		return nil, err
	}
	f := &factory{group: newStats(ctx)}
	if err := c.namedChains(p, m, f, ctx); err != nil {
		return nil, err
	}
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
	out.tree, err = tree.Compile(p, m, tree.Options[choice]{Context: tree.Streams, Runtime: ctx.Runtime, Stats: ctx.Stats, Action: func(p field.Path, _ string, config *anypb.Any) (choice, error) {
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
	if err := field.Only(p, m, "typed_config", "dynamic_config", "filter_chain", "filter_chain_name", "sample_percent"); err != nil {
		return choice{}, err
	}
	share, err := fraction.NewPercent(p.Dot("sample_percent"), m.GetSamplePercent(), fraction.Of(100, 100), ctx.Runtime)
	if err != nil {
		return choice{}, err
	}
	out := choice{share: share, name: cmp.Or(m.GetTypedConfig().GetName(), m.GetDynamicConfig().GetName()), chain: m.GetFilterChainName()}
	given := 0
	for _, is := range []bool{m.GetTypedConfig() != nil, m.GetDynamicConfig() != nil, m.GetFilterChain() != nil, out.chain != ""} {
		if is {
			given++
		}
	}
	switch d := m.GetDynamicConfig(); {
	case given != 1:
		err = p.Errorf("needs exactly one of typed_config, dynamic_config, filter_chain and filter_chain_name")
	case m.GetTypedConfig() != nil:
		out.run, err = c.filter(p.Dot("typed_config.typed_config"), m.GetTypedConfig().GetTypedConfig(), ctx)
	case d != nil:
		out.run, err = http.Discover(p.Dot("dynamic_config.config_discovery"), d.GetName(), d.GetConfigDiscovery(), false, c.lookup, ctx)
	case m.GetFilterChain() != nil:
		out.run, err = c.chain(p.Dot("filter_chain"), m.GetFilterChain(), ctx)
	}
	return out, err
}

// namedChains compiles the filter chains that actions refer to.
func (c compiler) namedChains(p field.Path, m *compositev3.Composite, f *factory, ctx *http.FactoryContext) error {
	f.named = make(map[string]http.FilterFactory, len(m.GetNamedFilterChains()))
	for name, chain := range m.GetNamedFilterChains() {
		compiled, err := c.chain(p.Dot("named_filter_chains").Key(name), chain, ctx)
		if err != nil {
			return err
		}
		f.named[name] = compiled
	}
	return nil
}

func (c compiler) chain(p field.Path, m *compositev3.FilterChainConfiguration, ctx *http.FactoryContext) (http.FilterFactory, error) {
	if len(m.GetTypedConfig()) == 0 {
		return nil, p.Dot("typed_config").Errorf("a filter chain needs at least one filter")
	}
	out := &chainFactory{}
	for i, x := range m.GetTypedConfig() {
		f, err := c.filter(p.Dot("typed_config").Index(i).Dot("typed_config"), x.GetTypedConfig(), ctx)
		if err != nil {
			out.Close()
			return nil, err
		}
		out.filters = append(out.filters, f)
	}
	return out, nil
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
