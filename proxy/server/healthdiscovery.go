package server

import (
	"errors"
	"log/slog"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds"
)

// healthDiscovery checks the health of endpoints for a management server,
// which asks for it and is told the results (HDS, bootstrap.hds_config). It
// belongs to main.
type healthDiscovery struct {
	clusters *upstream.Manager
	node     func() *corev3.Node
	log      *slog.Logger
	stats    *hdsStats
	server   xds.Sender // nil while there is no stream
	every    time.Duration
	timer    *event.Timer
	probes   []probed
}

// probed is a cluster that the server has asked for.
type probed struct {
	asked *healthv3.ClusterHealthCheck
	*upstream.Probe
}

type hdsStats struct {
	Requests  stats.Counter `stat:"requests"`
	Responses stats.Counter `stat:"responses"`
	Errors    stats.Counter `stat:"errors"`
	Updates   stats.Counter `stat:"updates"`
}

// startHealthDiscovery does what hds_config asks for.
func (s *server) startHealthDiscovery() error {
	api := s.bootstrap.GetHdsConfig()
	if api == nil {
		return nil
	}
	h := &healthDiscovery{clusters: s.clusters, node: s.xds.Node, log: s.log.get("upstream"),
		stats: stats.NewGroup[hdsStats](s.stats, stats.Scope{Prefix: "hds_delegate."}).For(0)}
	h.timer = s.loops[0].NewTimer(h.report)
	return s.converse(api, xds.Dialogue{
		Path: hdsPath, Method: "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck",
		NewMessage: func() proto.Message { return &healthv3.HealthCheckSpecifier{} },
		Opened:     h.opened,
		Received:   func(m proto.Message) { h.take(m.(*healthv3.HealthCheckSpecifier)) },
		Lost:       func(error) { h.server = nil; h.timer.Disable() },
	})
}

func (h *healthDiscovery) opened(to xds.Sender) {
	h.server = to
	to.Send(&healthv3.HealthCheckRequestOrEndpointHealthResponse{
		RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_HealthCheckRequest{HealthCheckRequest: &healthv3.HealthCheckRequest{
			Node:       h.node(),
			Capability: &healthv3.Capability{HealthCheckProtocols: []healthv3.Capability_Protocol{healthv3.Capability_HTTP, healthv3.Capability_TCP}},
		}},
	})
	h.stats.Responses.Inc()
}

// take makes what is checked equal to what the server asks for. Clusters that
// it asks for as before go on.
func (h *healthDiscovery) take(spec *healthv3.HealthCheckSpecifier) {
	h.stats.Requests.Inc()
	if h.every = time.Second; spec.GetInterval() != nil {
		h.every = max(spec.GetInterval().AsDuration(), time.Millisecond)
	}
	old := h.probes
	h.probes = nil
	changed := len(old) != len(spec.GetClusterHealthChecks())
	var errs []error
	for _, asked := range spec.GetClusterHealthChecks() {
		if i := indexOf(old, asked); i >= 0 {
			h.probes = append(h.probes, old[i])
			old = append(old[:i:i], old[i+1:]...)
			continue
		}
		changed = true
		path := field.Path("cluster_health_checks").Key(asked.GetClusterName())
		c, err := probeCluster(path, asked)
		if err == nil {
			var p *upstream.Probe
			if p, err = h.clusters.NewProbe(path, c); err == nil {
				h.probes = append(h.probes, probed{asked, p})
			}
		}
		errs = append(errs, err)
	}
	for _, p := range old {
		p.Close()
	}
	if changed {
		h.stats.Updates.Inc()
	}
	if err := errors.Join(errs...); err != nil {
		h.stats.Errors.Inc()
		h.log.Warn("health discovery: cannot check all that is asked for", "error", err)
	}
	h.timer.Enable(h.every)
}

func indexOf(ps []probed, asked *healthv3.ClusterHealthCheck) int {
	for i, p := range ps {
		if proto.Equal(p.asked, asked) {
			return i
		}
	}
	return -1
}

// probeCluster is the cluster whose health is to be checked.
func probeCluster(path field.Path, asked *healthv3.ClusterHealthCheck) (*clusterv3.Cluster, error) {
	if err := field.Only(path, asked, "cluster_name", "health_checks", "locality_endpoints", "transport_socket_matches", "upstream_bind_config"); err != nil {
		return nil, err
	}
	c := &clusterv3.Cluster{
		Name:                          asked.GetClusterName(),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		ConnectTimeout:                durationpb.New(time.Second),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(32 << 10),
		HealthChecks:                  named(asked.GetHealthChecks()),
		TransportSocketMatches:        asked.GetTransportSocketMatches(),
		UpstreamBindConfig:            asked.GetUpstreamBindConfig(),
		LoadAssignment:                &endpointv3.ClusterLoadAssignment{ClusterName: asked.GetClusterName()},
	}
	for _, l := range asked.GetLocalityEndpoints() {
		g := &endpointv3.LocalityLbEndpoints{Locality: l.GetLocality()}
		for _, e := range l.GetEndpoints() {
			g.LbEndpoints = append(g.LbEndpoints, &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: e}})
		}
		c.LoadAssignment.Endpoints = append(c.LoadAssignment.Endpoints, g)
	}
	return c, nil
}

// named gives several checks names by which their statistics can be told apart,
// as clusters' own must have.
func named(checks []*corev3.HealthCheck) []*corev3.HealthCheck {
	if len(checks) < 2 {
		return checks
	}
	out := make([]*corev3.HealthCheck, len(checks))
	for i, c := range checks {
		out[i] = proto.Clone(c).(*corev3.HealthCheck)
		if c.GetName() == "" {
			out[i].Name = strconv.Itoa(i)
		}
	}
	return out
}

// report tells the server how all endpoints are.
func (h *healthDiscovery) report() {
	if h.server == nil {
		return
	}
	all := &healthv3.EndpointHealthResponse{}
	for _, p := range h.probes {
		c := &healthv3.ClusterEndpointsHealth{ClusterName: p.asked.GetClusterName()}
		for _, of := range byLocality(p.Hosts()) {
			l := &healthv3.LocalityEndpointsHealth{Locality: localityProto(of[0].Locality)}
			for _, host := range of {
				l.EndpointsHealth = append(l.EndpointsHealth, &healthv3.EndpointHealth{
					Endpoint: &endpointv3.Endpoint{Address: addressOf(host.Current())}, HealthStatus: probedHealth(host),
				})
			}
			c.LocalityEndpointsHealth = append(c.LocalityEndpointsHealth, l)
			//lint:ignore SA1019 Envoy still fills in the flat list
			all.EndpointsHealth = append(all.EndpointsHealth, l.EndpointsHealth...)
		}
		all.ClusterEndpointsHealth = append(all.ClusterEndpointsHealth, c)
	}
	h.server.Send(&healthv3.HealthCheckRequestOrEndpointHealthResponse{
		RequestType: &healthv3.HealthCheckRequestOrEndpointHealthResponse_EndpointHealthResponse{EndpointHealthResponse: all},
	})
	h.stats.Responses.Inc()
	h.timer.Enable(h.every)
}

func probedHealth(h *cluster.Host) corev3.HealthStatus {
	switch {
	case h.Usability() == cluster.Healthy:
		return corev3.HealthStatus_HEALTHY
	case h.Health()&cluster.ActiveHCTimeout != 0:
		return corev3.HealthStatus_TIMEOUT
	}
	return corev3.HealthStatus_UNHEALTHY
}

// byLocality groups hosts by priority and locality, in their order.
func byLocality(set *cluster.PrioritySet) (groups [][]*cluster.Host) {
	type key struct {
		priority uint32
		locality cluster.Locality
	}
	index := map[key]int{}
	for h := range set.All {
		k := key{h.Priority, *h.Locality}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], h)
	}
	return groups
}

func localityProto(l *cluster.Locality) *corev3.Locality {
	return &corev3.Locality{Region: l.Region, Zone: l.Zone, SubZone: l.SubZone}
}
