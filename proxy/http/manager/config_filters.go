package manager

import (
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http"
)

// namedFilter is one filter of a chain.
type namedFilter struct {
	name     string
	factory  http.FilterFactory
	disabled bool
}

// upgrade is what becomes of requests that ask for another protocol.
type upgrade struct {
	enabled bool
	filters []namedFilter // nil: those of all requests
}

func (c *Config) buildFilters(p field.Path, m *hcmv3.HttpConnectionManager, o Options) (err error) {
	ctx := &http.FactoryContext{
		Stats: o.Stats, StatPrefix: m.StatPrefix, Loops: o.Loops, Runtime: o.Runtime, RuntimeNumber: o.RuntimeNumber, ServiceCluster: o.ServiceCluster, NodeID: o.NodeID, NodeMetadata: o.NodeMetadata,
		HealthCheckFailed: o.HealthCheckFailed, Secrets: o.Secrets, LocalAddress: o.LocalAddress, Discovery: o.Discovery, Scope: o.Scope,
	}
	if c.filters, err = c.filterChain(p.Dot("http_filters"), m.HttpFilters, ctx, o); err != nil {
		return err
	}
	if len(c.filters) == 0 {
		return p.Dot("http_filters").Errorf("no filter; add envoy.filters.http.router")
	}
	for i, u := range m.UpgradeConfigs {
		p := p.Dot("upgrade_configs").Index(i)
		if err := field.Only(p, u, "upgrade_type", "filters", "enabled"); err != nil {
			return err
		}
		if c.upgrades == nil {
			c.upgrades = make(map[string]upgrade)
		}
		kind := strings.ToLower(u.UpgradeType)
		if _, ok := c.upgrades[kind]; ok {
			return p.Errorf("upgrade type %q is configured twice", kind)
		}
		filters, err := c.filterChain(p.Dot("filters"), u.Filters, ctx, o)
		if err != nil {
			return err
		}
		c.upgrades[kind] = upgrade{enabled: u.Enabled == nil || u.Enabled.Value, filters: filters}
	}
	return nil
}

// filterChain compiles a chain of filters, of which only the last is terminal.
func (c *Config) filterChain(p field.Path, fs []*hcmv3.HttpFilter, ctx *http.FactoryContext, o Options) (out []namedFilter, err error) {
	defer func() {
		if err != nil {
			closeFilters(out)
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
		factory, err := c.filter(p, f, last, ctx, o)
		if err != nil {
			return out, err
		}
		if factory == nil {
			continue
		}
		out = append(out, namedFilter{name: f.Name, factory: factory, disabled: f.Disabled})
		c.filtersVary = c.filtersVary || !last
	}
	return out, nil
}

// filter compiles one filter; nil when it is optional and unknown.
func (c *Config) filter(p field.Path, f *hcmv3.HttpFilter, last bool, ctx *http.FactoryContext, o Options) (http.FilterFactory, error) {
	if d := f.GetConfigDiscovery(); d != nil {
		return http.Discover(p.Dot("config_discovery"), f.Name, d, last, o.Filter, ctx)
	}
	maker, ok := o.Filter(f.GetTypedConfig())
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

func closeFilters(fs []namedFilter) {
	for _, f := range fs {
		if x, ok := f.factory.(interface{ Close() }); ok {
			x.Close()
		}
	}
}
