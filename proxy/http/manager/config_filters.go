package manager

import (
	"strings"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/http/filterchain"
)

// upgrade is what becomes of requests that ask for another protocol.
type upgrade struct {
	enabled bool
	filters []filterchain.Filter // nil: those of all requests
}

func (c *Config) buildFilters(p field.Path, m *hcmv3.HttpConnectionManager, o Options) (err error) {
	ctx := &o.FactoryContext
	ctx.StatPrefix = "http." + m.StatPrefix + "."
	if c.filters, err = filterchain.Compile(p.Dot("http_filters"), m.HttpFilters, o.Filter, ctx); err != nil {
		return err
	}
	c.filtersVary = len(c.filters) > 1
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
		filters, err := filterchain.Compile(p.Dot("filters"), u.Filters, o.Filter, ctx)
		if err != nil {
			return err
		}
		c.filtersVary = c.filtersVary || len(filters) > 1
		c.upgrades[kind] = upgrade{enabled: u.Enabled == nil || u.Enabled.Value, filters: filters}
	}
	return nil
}
