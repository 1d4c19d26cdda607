package server

import (
	"context"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// dumpClusters is /clusters.
func (s *server) dumpClusters(ctx context.Context) ([]admin.Cluster, error) {
	status, err := s.clusters.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]admin.Cluster, len(status))
	for i, c := range status {
		out[i] = admin.Cluster{
			Name: c.Info.Name, ObservabilityName: c.Info.StatName, AddedViaAPI: c.Info.AddedViaAPI, EDSServiceName: c.EDSName,
			Default: limits(&c.Info.Resources[cluster.Default]), High: limits(&c.Info.Resources[cluster.High]),
		}
		if o := c.Outlier; o != nil {
			external, local := o[cluster.ExternalOrigin], o[cluster.LocalOrigin]
			out[i].Outlier = &admin.OutlierStatus{
				SuccessRateAverage: external.Average, SuccessRateEjectionThreshold: external.Threshold,
				LocalOriginSuccessRateAverage: local.Average, LocalOriginSuccessRateEjectionThreshold: local.Threshold,
			}
		}
		for _, h := range c.Hosts {
			out[i].Hosts = append(out[i].Hosts, host(h))
		}
	}
	return out, nil
}

func limits(r *cluster.Resources) admin.Limits {
	max := func(k cluster.Kind) uint32 { return r.Resource(k).Max() }
	return admin.Limits{MaxConnections: max(cluster.Connections), MaxPendingRequests: max(cluster.Pending), MaxRequests: max(cluster.Requests), MaxRetries: r.RetryMax()}
}

func host(h upstream.HostStatus) admin.Host {
	return admin.Host{
		Address: h.Current().String(), Hostname: h.Hostname,
		CxActive: uint64(h.Stats.CxActive.Value()), CxConnectFail: uint64(h.Stats.CxConnectFail), CxTotal: uint64(h.Stats.CxTotal),
		RqActive: uint64(h.Stats.RqActive.Value()), RqPendingActive: uint64(h.Stats.RqPendingActive.Value()), RqError: uint64(h.Stats.RqError), RqSuccess: uint64(h.Stats.RqSuccess), RqTimeout: uint64(h.Stats.RqTimeout), RqTotal: uint64(h.Stats.RqTotal),
		Weight: h.Weight(), Priority: uint32(h.Priority), Region: h.Locality.Region, Zone: h.Locality.Zone, SubZone: h.Locality.SubZone,
		Canary: h.Canary(), Health: admin.HealthFlags(h.Health()),
		SuccessRate: h.SuccessRate[cluster.ExternalOrigin], LocalOriginSuccessRate: h.SuccessRate[cluster.LocalOrigin],
	}
}

const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster"

func (s *server) dumpClusterConfig() proto.Message {
	m := &adminv3.ClustersConfigDump{}
	if s.cds != nil {
		m.VersionInfo = s.cds.Status().Version
	}
	for _, c := range s.clusters.Configs() {
		raw, at := &anypb.Any{TypeUrl: clusterType, Value: c.Raw}, stamp(c.Updated)
		dynamic := &adminv3.ClustersConfigDump_DynamicCluster{VersionInfo: c.Version, Cluster: raw, LastUpdated: at}
		switch {
		case c.Static:
			m.StaticClusters = append(m.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: raw, LastUpdated: at})
		case c.Warming:
			m.DynamicWarmingClusters = append(m.DynamicWarmingClusters, dynamic)
		default:
			m.DynamicActiveClusters = append(m.DynamicActiveClusters, dynamic)
		}
	}
	return m
}
