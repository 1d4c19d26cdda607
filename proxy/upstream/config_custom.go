package upstream

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	forwardv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// typesByName are the types that a cluster_type may name without more.
var typesByName = map[string]clusterv3.Cluster_DiscoveryType{
	"envoy.cluster.static": clusterv3.Cluster_STATIC, "envoy.cluster.strict_dns": clusterv3.Cluster_STRICT_DNS,
	"envoy.cluster.logical_dns": clusterv3.Cluster_LOGICAL_DNS, "envoy.cluster.eds": clusterv3.Cluster_EDS,
	"envoy.cluster.original_dst": clusterv3.Cluster_ORIGINAL_DST,
}

// customType compiles a cluster_type.
func (m *Manager) customType(p field.Path, c *clusterv3.Cluster, ct *clusterv3.Cluster_CustomClusterType, cfg *config) error {
	a, p2 := ct.GetTypedConfig(), p.Dot("cluster_type").Dot("typed_config")
	switch {
	case a.MessageIs(&dnsv3.DnsCluster{}):
		return dnsExtension(p, c, ct, cfg)
	case a.MessageIs(&aggregatev3.ClusterConfig{}):
		agg := &aggregatev3.ClusterConfig{}
		if err := a.UnmarshalTo(agg); err != nil {
			return p2.Wrap(err)
		}
		cfg.kind, cfg.members = aggregate, agg.GetClusters()
		if len(cfg.members) == 0 {
			return p2.Dot("clusters").Errorf("missing")
		}
		return firstError(field.Only(p2, agg, "clusters"), loadAssignment(p, c, cfg))
	}
	if f := (&forwardv3.ClusterConfig{}); a.MessageIs(f) {
		if err := protos.Unpack(p2, a, f); err != nil {
			return err
		}
		return firstError(m.forward(p2, f, cfg), loadAssignment(p, c, cfg))
	}
	return p2.Errorf("weir does not support clusters of type %s (%s)", ct.GetName(), a.GetTypeUrl())
}
