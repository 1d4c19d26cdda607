package http

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/ecds"
)

// FilterLookup finds the maker of a filter by its configuration.
type FilterLookup func(config *anypb.Any) (FilterMaker, bool)

// Discover makes the factory of a filter whose configuration ECDS brings from
// m at p. last tells whether the filter is the last of its chain, which the
// terminal one has to be.
func Discover(p field.Path, name string, m *corev3.ExtensionConfigSource, last bool, lookup FilterLookup, ctx *FactoryContext) (FilterFactory, error) {
	slot, err := ecds.New(p, m, ecds.Options[FilterFactory]{
		Kind: "http_filter", Name: name, Discovery: ctx.Discovery, Scope: ctx.Scope, Loops: ctx.Loops,
		Known: func(typeName string) bool {
			_, ok := lookup(&anypb.Any{TypeUrl: "type.googleapis.com/" + typeName})
			return ok
		},
		Compile: func(p field.Path, config *anypb.Any) (FilterFactory, error) {
			maker, ok := lookup(config)
			switch {
			case !ok:
				return nil, p.Errorf("weir has no HTTP filter of type %q", config.GetTypeUrl())
			case maker.Terminal && !last:
				return nil, p.Errorf("the terminal HTTP filter %q must be the last one", name)
			case !maker.Terminal && last:
				return nil, p.Errorf("the last HTTP filter must be a terminal one; %q is not", name)
			}
			return maker.New(p, config, ctx)
		},
		Close: func(f FilterFactory) {
			if c, ok := f.(interface{ Close() }); ok {
				c.Close()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return discoveredFactory{slot}, nil
}
