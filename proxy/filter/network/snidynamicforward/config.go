package snidynamicforward

import (
	cachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
)

// TypeURL is the type of the filter's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"

// Caches finds the DNS cache that a configuration names.
type Caches func(field.Path, *cachev3.DnsCacheConfig) (*dnscache.Cache, error)

// Factory makes the filter's factories.
func Factory(caches Caches) listener.NetworkFactory {
	return listener.NetworkFrom(func(p field.Path, m *forwardv3.FilterConfig, _ *listener.FactoryContext) (_ network.FilterFactory, err error) {
		if err := field.Only(p, m, "dns_cache_config", "port_value"); err != nil {
			return nil, err
		}
		if m.GetDnsCacheConfig() == nil {
			return nil, p.Dot("dns_cache_config").Errorf("missing")
		}
		s := &settings{port: 443}
		if v := m.GetPortValue(); v != 0 {
			if v > 65535 {
				return nil, p.Dot("port_value").Errorf("%d is not a port", v)
			}
			s.port = uint16(v)
		}
		if s.cache, err = caches(p.Dot("dns_cache_config"), m.GetDnsCacheConfig()); err != nil {
			return nil, err
		}
		return s.newFilter, nil
	})
}
