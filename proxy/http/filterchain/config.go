package filterchain

import (
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// Compile compiles the chain at p, of whose filters only the last is terminal.
func Compile(p field.Path, fs []*hcmv3.HttpFilter, lookup http.FilterLookup, ctx *http.FactoryContext) (out []Filter, err error) {
	defer func() {
		if err != nil {
			Close(out)
			out = nil
		}
	}()
	for i, f := range fs {
		p, last := p.Index(i), i == len(fs)-1
		if err := field.Only(p, f, "name", "typed_config", "config_discovery", "disabled", "is_optional"); err != nil {
			return out, err
		}
		if f.Disabled && last {
			return out, p.Dot("disabled").Errorf("the terminal HTTP filter %q cannot be disabled", f.Name)
		}
		factory, err := factory(p, f, last, lookup, ctx)
		if err != nil {
			return out, err
		}
		if factory != nil {
			out = append(out, Filter{Name: f.Name, Factory: factory, Disabled: f.Disabled})
		}
	}
	return out, nil
}

// factory compiles one filter; nil when it is optional and unknown.
func factory(p field.Path, f *hcmv3.HttpFilter, last bool, lookup http.FilterLookup, ctx *http.FactoryContext) (http.FilterFactory, error) {
	if d := f.GetConfigDiscovery(); d != nil {
		return http.Discover(p.Dot("config_discovery"), f.Name, d, last, lookup, ctx)
	}
	maker, ok := lookup(f.GetTypedConfig())
	switch {
	case !ok && f.IsOptional:
		return nil, nil
	case !ok:
		return nil, p.Dot("typed_config").Errorf("weir has no HTTP filter of type %q (filter %q)", f.GetTypedConfig().GetTypeUrl(), f.Name)
	case last && !maker.Terminal:
		return nil, p.Errorf("the last HTTP filter must be a terminal one, such as envoy.filters.http.router; %q is not", f.Name)
	case maker.Terminal && !last:
		return nil, p.Errorf("the terminal HTTP filter %q must be the last one", f.Name)
	}
	return maker.New(p.Dot("typed_config"), f.GetTypedConfig(), ctx)
}
