package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"reflect"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/dynamic_forward_proxy/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
)

// forward compiles a dynamic forward proxy cluster. Its hosts are whatever
// requests ask for, so what they say that they are has to be checked.
func (m *Manager) forward(p field.Path, c *forwardv3.ClusterConfig, cfg *config) (err error) {
	// allow_coalesced_connections is about HTTP/2 connections to several names
	// of one certificate; each host has connections of its own here, which
	// that field allows Envoy to avoid, not asks it to.
	if err := field.Only(p, c, "dns_cache_config", "allow_insecure_cluster_options"); err != nil {
		return err
	}
	if c.GetDnsCacheConfig() == nil {
		return p.Dot("dns_cache_config").Errorf("missing")
	}
	if !cfg.info.AutoSANs && !c.GetAllowInsecureClusterOptions() {
		return p.Dot("allow_insecure_cluster_options").Errorf("dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless allow_insecure_cluster_options is set")
	}
	cfg.kind, cfg.info.DynamicForward = forward, true
	cfg.cache, err = m.DNSCache(p.Dot("dns_cache_config"), c.GetDnsCacheConfig())
	return err
}

// DNSCache is the cache that a configuration names; filters and clusters with
// the same configuration share it. Main only.
func (m *Manager) DNSCache(p field.Path, c *cachev3.DnsCacheConfig) (*dnscache.Cache, error) {
	cfg, err := cacheConfig(p, c)
	if err != nil {
		return nil, err
	}
	if !c.GetUseTcpForDnsLookups() && c.GetDnsResolutionConfig() == nil && c.GetTypedDnsResolverConfig() == nil {
		cfg.Resolver = m.resolving
	}
	if old := m.caches[cfg.Name]; old != nil {
		if !reflect.DeepEqual(*old.Config(), cfg) {
			return nil, p.Errorf("config specified DNS cache with name '%s' with different settings", cfg.Name)
		}
		return old, nil
	}
	cache := dnscache.New(m.o.Main, m.o.Stats, m.o.Resolver, cfg)
	m.caches[cfg.Name] = cache
	return cache, nil
}

// DNSCache is Manager.DNSCache, for filters that have a worker's table. Main
// only.
func (t *Table) DNSCache(p field.Path, c *cachev3.DnsCacheConfig) (*dnscache.Cache, error) {
	return t.m.DNSCache(p, c)
}

func cacheConfig(p field.Path, c *cachev3.DnsCacheConfig) (out dnscache.Config, err error) {
	out = dnscache.Config{
		Name: c.GetName(), Family: dnsFamilies[c.GetDnsLookupFamily()], Refresh: time.Minute, MinRefresh: 5 * time.Second,
		HostTTL: 5 * time.Minute, MaxHosts: 1024, MaxPending: 1024, QueryTimeout: 5 * time.Second,
	}
	out.Resolver.TCP = c.GetUseTcpForDnsLookups()
	if v := c.GetMaxHosts(); v != nil {
		out.MaxHosts = int(v.GetValue())
	}
	if v := c.GetDnsCacheCircuitBreaker().GetMaxPendingRequests(); v != nil {
		out.MaxPending = int(v.GetValue())
	}
	if err := firstError(
		field.Only(p, c, "name", "dns_lookup_family", "dns_refresh_rate", "dns_min_refresh_rate", "host_ttl", "max_hosts",
			"dns_failure_refresh_rate", "dns_cache_circuit_breaker", "use_tcp_for_dns_lookups", "dns_resolution_config",
			"typed_dns_resolver_config", "preresolve_hostnames", "dns_query_timeout"),
		positive(p.Dot("dns_refresh_rate"), c.GetDnsRefreshRate(), &out.Refresh),
		positive(p.Dot("dns_min_refresh_rate"), c.GetDnsMinRefreshRate(), &out.MinRefresh),
		positive(p.Dot("host_ttl"), c.GetHostTtl(), &out.HostTTL),
		positive(p.Dot("dns_query_timeout"), c.GetDnsQueryTimeout(), &out.QueryTimeout),
		resolutionConfig(p.Dot("dns_resolution_config"), c.GetDnsResolutionConfig(), &out.Resolver),
		resolverExtension(p.Dot("typed_dns_resolver_config"), c.GetTypedDnsResolverConfig(), &out.Resolver),
	); err != nil {
		return out, err
	}
	switch {
	case out.Name == "":
		return out, p.Dot("name").Errorf("missing")
	case out.MaxHosts == 0:
		return out, p.Dot("max_hosts").Errorf("0 is not greater than 0")
	}
	var rates dnsConfig
	if err := rates.times(p, c.GetDnsRefreshRate(), nil, c.GetDnsFailureRefreshRate()); err != nil {
		return out, err
	}
	if out.FailBase, out.FailMax = out.Refresh, out.Refresh; c.GetDnsFailureRefreshRate().GetBaseInterval() != nil {
		out.FailBase, out.FailMax = rates.failBase, rates.failMax
	}
	for i, a := range c.GetPreresolveHostnames() {
		t, err := preresolve(p.Dot("preresolve_hostnames").Index(i), a)
		if err != nil {
			return out, err
		}
		out.Preresolve = append(out.Preresolve, t)
	}
	return out, nil
}

func preresolve(p field.Path, a *corev3.SocketAddress) (t dnscache.Target, err error) {
	if err := field.Only(p, a, "address", "port_value"); err != nil {
		return t, err
	}
	if a.GetAddress() == "" || a.GetPortValue() == 0 || a.GetPortValue() > 65535 {
		return t, p.Errorf("needs an address and a port")
	}
	return dnscache.Target{Host: a.GetAddress(), Port: uint16(a.GetPortValue())}, nil
}
