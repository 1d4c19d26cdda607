package server

import (
	"context"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// dumpEndpoints is what /config_dump?include_eds adds: the hosts of all
// clusters as they are used at present.
func (s *server) dumpEndpoints(ctx context.Context) (proto.Message, error) {
	status, err := s.clusters.Status(ctx)
	if err != nil {
		return nil, err
	}
	m := &adminv3.EndpointsConfigDump{}
	for _, c := range status {
		config := pack(assignment(c))
		if c.Info.AddedViaAPI {
			m.DynamicEndpointConfigs = append(m.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{EndpointConfig: config})
		} else {
			m.StaticEndpointConfigs = append(m.StaticEndpointConfigs, &adminv3.EndpointsConfigDump_StaticEndpointConfig{EndpointConfig: config})
		}
	}
	return m, nil
}

// assignment is a cluster's hosts, by priority and locality.
func assignment(c upstream.Status) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: c.Info.Name,
		Policy: &endpointv3.ClusterLoadAssignment_Policy{OverprovisioningFactor: wrapperspb.UInt32(c.Overprovisioning)}}
	if c.EDSService != "" {
		out.ClusterName = c.EDSService
	}
	type place struct {
		priority uint32
		locality cluster.Locality
	}
	groups := map[place]*endpointv3.LocalityLbEndpoints{}
	for _, h := range c.Hosts {
		at := place{h.Priority, *h.Locality}
		g := groups[at]
		if g == nil {
			g = &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{}, Priority: at.priority, LoadBalancingWeight: wrapperspb.UInt32(h.LocalityWeight)}
			if at.locality != (cluster.Locality{}) {
				g.Locality = &corev3.Locality{Region: at.locality.Region, Zone: at.locality.Zone, SubZone: at.locality.SubZone}
			}
			groups[at] = g
			out.Endpoints = append(out.Endpoints, g)
		}
		e := &endpointv3.Endpoint{Address: addressOf(h.Current()), Hostname: h.Hostname, HealthCheckConfig: &endpointv3.Endpoint_HealthCheckConfig{}}
		for _, more := range h.More {
			e.AdditionalAddresses = append(e.AdditionalAddresses, &endpointv3.Endpoint_AdditionalAddress{Address: addressOf(more)})
		}
		g.LbEndpoints = append(g.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier:      &endpointv3.LbEndpoint_Endpoint{Endpoint: e},
			HealthStatus:        healthOf(h.Host),
			Metadata:            metadataOf(h.Host),
			LoadBalancingWeight: wrapperspb.UInt32(h.Weight()),
		})
	}
	return out
}

// metadataOf is a host's metadata, nil when it has none.
func metadataOf(h *cluster.Host) *corev3.Metadata {
	all := h.Metadata()
	if len(all) == 0 {
		return nil
	}
	out := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	for namespace, fields := range all {
		if s, err := structpb.NewStruct(fields); err == nil { // it was one
			out.FilterMetadata[namespace] = s
		}
	}
	return out
}

func addressOf(a network.Address) *corev3.Address {
	if a.IsPipe() {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: a.Path}}}
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: a.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(a.Port())}}}}
}

func healthOf(h *cluster.Host) corev3.HealthStatus {
	switch h.Usability() {
	case cluster.Healthy:
		return corev3.HealthStatus_HEALTHY
	case cluster.Degraded:
		return corev3.HealthStatus_DEGRADED
	}
	return corev3.HealthStatus_UNHEALTHY
}
