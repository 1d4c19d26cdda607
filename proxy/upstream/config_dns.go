package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"net/netip"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	caresv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/cares/v3"
	getaddrv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/network/dns_resolver/getaddrinfo/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

// dnsConfig is how a cluster's names are resolved.
type dnsConfig struct {
	family     dns.Family
	refresh    time.Duration
	minRefresh time.Duration // bounds TTLs from below
	jitter     time.Duration
	failBase   time.Duration // back-off after failures
	failMax    time.Duration
	respectTTL bool
	logical    bool // one host, with the address found last
	resolver   dns.Config
	own        bool // resolver is the cluster's own, not the bootstrap's
}

const defaultDNSRefresh = 5 * time.Second

func dnsFields(p field.Path, c *clusterv3.Cluster) (*dnsConfig, error) {
	d := &dnsConfig{respectTTL: c.GetRespectDnsTtl(), family: dnsFamilies[c.GetDnsLookupFamily()]}
	d.resolver.TCP = c.GetUseTcpForDnsLookups()
	d.own = d.resolver.TCP || len(c.GetDnsResolvers()) > 0 || c.GetDnsResolutionConfig() != nil || c.GetTypedDnsResolverConfig() != nil
	err := firstError(
		d.times(p, c.GetDnsRefreshRate(), c.GetDnsJitter(), c.GetDnsFailureRefreshRate()),
		nameservers(p.Dot("dns_resolvers"), c.GetDnsResolvers(), &d.resolver),
		resolutionConfig(p.Dot("dns_resolution_config"), c.GetDnsResolutionConfig(), &d.resolver),
		resolverExtension(p.Dot("typed_dns_resolver_config"), c.GetTypedDnsResolverConfig(), &d.resolver),
	)
	return d, err
}

var dnsFamilies = map[clusterv3.Cluster_DnsLookupFamily]dns.Family{
	clusterv3.Cluster_AUTO: dns.Auto, clusterv3.Cluster_V4_ONLY: dns.V4Only, clusterv3.Cluster_V6_ONLY: dns.V6Only,
	clusterv3.Cluster_V4_PREFERRED: dns.V4Preferred, clusterv3.Cluster_ALL: dns.All,
}

// refreshRate is the same message in the cluster and in the extension.
type refreshRate interface {
	GetBaseInterval() *durationpb.Duration
	GetMaxInterval() *durationpb.Duration
}

func (d *dnsConfig) times(p field.Path, refresh, jitter *durationpb.Duration, failure refreshRate) error {
	d.refresh, d.minRefresh = defaultDNSRefresh, time.Second
	if err := positive(p.Dot("dns_refresh_rate"), refresh, &d.refresh); err != nil {
		return err
	}
	if d.jitter = jitter.AsDuration(); d.jitter < 0 {
		return p.Dot("dns_jitter").Errorf("%v is negative", d.jitter)
	}
	d.failBase, d.failMax = d.refresh, d.refresh
	if base := failure.GetBaseInterval(); base != nil {
		p := p.Dot("dns_failure_refresh_rate")
		if err := positive(p.Dot("base_interval"), base, &d.failBase); err != nil {
			return err
		}
		d.failMax = 10 * d.failBase
		if err := positive(p.Dot("max_interval"), failure.GetMaxInterval(), &d.failMax); err != nil {
			return err
		}
		if d.failMax < d.failBase {
			return p.Dot("max_interval").Errorf("%v is less than base_interval, %v", d.failMax, d.failBase)
		}
	}
	return nil
}

// dnsExtension compiles envoy.clusters.dns as a strict DNS cluster.
func dnsExtension(p field.Path, c *clusterv3.Cluster, ct *clusterv3.Cluster_CustomClusterType, cfg *config) error {
	p2 := p.Dot("cluster_type").Dot("typed_config")
	m := &dnsv3.DnsCluster{}
	if err := ct.GetTypedConfig().UnmarshalTo(m); err != nil {
		return p2.Wrap(err)
	}
	if err := field.Only(p2, m, "dns_refresh_rate", "dns_failure_refresh_rate", "respect_dns_ttl", "dns_jitter", "typed_dns_resolver_config", "dns_lookup_family", "dns_min_refresh_rate", "all_addresses_in_single_endpoint"); err != nil {
		return err
	}
	// Its enumeration has UNSPECIFIED before the cluster's AUTO.
	family := clusterv3.Cluster_DnsLookupFamily(max(int32(m.GetDnsLookupFamily())-1, 0))
	d := &dnsConfig{respectTTL: m.GetRespectDnsTtl(), family: dnsFamilies[family], own: m.GetTypedDnsResolverConfig() != nil}
	if err := firstError(
		d.times(p2, m.GetDnsRefreshRate(), m.GetDnsJitter(), m.GetDnsFailureRefreshRate()),
		positive(p2.Dot("dns_min_refresh_rate"), m.GetDnsMinRefreshRate(), &d.minRefresh),
		resolverExtension(p2.Dot("typed_dns_resolver_config"), m.GetTypedDnsResolverConfig(), &d.resolver),
	); err != nil {
		return err
	}
	d.logical = m.GetAllAddressesInSingleEndpoint()
	cfg.kind, cfg.dns = strictDNS, d
	if err := loadAssignment(p, c, cfg); err != nil {
		return err
	}
	return cfg.checkLogical(p)
}

// checkLogical is what a cluster with a logical host must hold to.
func (c *config) checkLogical(p field.Path) error {
	if !c.dns.logical {
		return nil
	}
	if g := c.assignment.groups; len(g) != 1 || len(g[0].endpoints) != 1 {
		return p.Dot("load_assignment").Errorf("a cluster with a logical host has a single locality with a single endpoint")
	}
	return nil
}

// ResolveBy sets how the names of clusters are resolved that don't say it
// themselves.
func (m *Manager) ResolveBy(b *bootstrapv3.Bootstrap) error {
	m.resolving.TCP = b.GetUseTcpForDnsLookups()
	return firstError(
		resolutionConfig("dns_resolution_config", b.GetDnsResolutionConfig(), &m.resolving),
		resolverExtension("typed_dns_resolver_config", b.GetTypedDnsResolverConfig(), &m.resolving),
	)
}

// resolvingOf is how a cluster's names are resolved.
func (m *Manager) resolvingOf(d *dnsConfig) *dns.Config {
	if d.own {
		return &d.resolver
	}
	return &m.resolving
}

func nameservers(p field.Path, as []*corev3.Address, out *dns.Config) error {
	for i, a := range as {
		addr, _, err := address(p.Index(i), a, false)
		if err != nil {
			return err
		}
		if addr.IsPipe() {
			return p.Index(i).Errorf("a name server is reached by an IP address")
		}
		if addr.Port() == 0 {
			addr.AddrPort = netip.AddrPortFrom(addr.Addr(), 53)
		}
		out.Servers = append(out.Servers, addr.AddrPort)
	}
	return nil
}

func resolutionConfig(p field.Path, c *corev3.DnsResolutionConfig, out *dns.Config) error {
	return firstError(
		field.Only(p, c, "resolvers", "dns_resolver_options"),
		nameservers(p.Dot("resolvers"), c.GetResolvers(), out),
		resolverOptions(p.Dot("dns_resolver_options"), c.GetDnsResolverOptions(), out),
	)
}

func resolverOptions(p field.Path, o *corev3.DnsResolverOptions, out *dns.Config) error {
	out.TCP = out.TCP || o.GetUseTcpForDnsLookups()
	out.NoSearch = o.GetNoDefaultSearchDomain()
	return field.Only(p, o, "use_tcp_for_dns_lookups", "no_default_search_domain")
}

func resolverExtension(p field.Path, e *corev3.TypedExtensionConfig, out *dns.Config) error {
	if e == nil {
		return nil
	}
	p = p.Dot("typed_config")
	a := e.GetTypedConfig()
	switch {
	case a.MessageIs(&getaddrv3.GetAddrInfoDnsResolverConfig{}):
		m := &getaddrv3.GetAddrInfoDnsResolverConfig{}
		if err := a.UnmarshalTo(m); err != nil {
			return p.Wrap(err)
		}
		return field.Only(p, m)
	case a.MessageIs(&caresv3.CaresDnsResolverConfig{}):
		m := &caresv3.CaresDnsResolverConfig{}
		if err := a.UnmarshalTo(m); err != nil {
			return p.Wrap(err)
		}
		out.Timeout = time.Duration(m.GetQueryTimeoutSeconds().GetValue()) * time.Second
		out.Tries = int(m.GetQueryTries().GetValue())
		// udp_max_queries is how often c-ares changes its socket; weir has
		// one for each query.
		return firstError(
			field.Only(p, m, "resolvers", "dns_resolver_options", "query_timeout_seconds", "query_tries", "udp_max_queries"),
			nameservers(p.Dot("resolvers"), m.GetResolvers(), out),
			resolverOptions(p.Dot("dns_resolver_options"), m.GetDnsResolverOptions(), out),
		)
	}
	return p.Errorf("weir does not support the resolver %s (%s)", e.GetName(), a.GetTypeUrl())
}
