//go:build oracle

package oracle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// ads is a control plane that follows a script: what it is asked comes out of
// asked, as a line each, and what goes into say and sayDelta is sent.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	asked    chan string
	say      chan *discoveryv3.DiscoveryResponse
	sayDelta chan *discoveryv3.DeltaDiscoveryResponse
}

func shortType(url string) string { return url[strings.LastIndexByte(url, '.')+1:] }

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

func (a *ads) StreamAggregatedResources(s discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	go func() {
		for m := range a.say {
			s.Send(m)
		}
	}()
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		a.asked <- fmt.Sprintf("%s %v version %q nonce %q node %v error %d", shortType(m.TypeUrl), sorted(m.ResourceNames), m.VersionInfo, m.ResponseNonce, m.Node.GetId() != "", m.ErrorDetail.GetCode())
	}
}

func (a *ads) DeltaAggregatedResources(s discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	go func() {
		for m := range a.sayDelta {
			s.Send(m)
		}
	}()
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		a.asked <- fmt.Sprintf("%s +%v -%v has %v nonce %q node %v error %d", shortType(m.TypeUrl), sorted(m.ResourceNamesSubscribe), sorted(m.ResourceNamesUnsubscribe), m.InitialResourceVersions, m.ResponseNonce, m.Node.GetId() != "", m.ErrorDetail.GetCode())
	}
}

// quiet is what was asked until nothing has been for a while.
func (a *ads) quiet() []string {
	var out []string
	for {
		select {
		case line := <-a.asked:
			out = append(out, line)
		case <-time.After(150 * time.Millisecond):
			return out
		}
	}
}

// told is one response of the control plane: resources, in YAML, by name.
type told struct {
	kind    string // "Cluster"
	version string
	add     map[string]string
	remove  []string // delta only
}

var kinds = map[string]string{
	"Cluster": "envoy.config.cluster.v3.Cluster", "ClusterLoadAssignment": "envoy.config.endpoint.v3.ClusterLoadAssignment",
	"Listener": "envoy.config.listener.v3.Listener", "RouteConfiguration": "envoy.config.route.v3.RouteConfiguration",
}

func (r told) resources(t *testing.T, fill *strings.Replacer) map[string]*anypb.Any {
	out := map[string]*anypb.Any{}
	for name, y := range r.add {
		kind := r.kind
		if k, rest, ok := strings.Cut(y, "!"); ok { // of another type
			kind, y = k, rest
		}
		a := &anypb.Any{}
		j := strings.Replace(string(toJSON(t, fill.Replace(y))), "{", `{"@type":"`+typePrefix+kinds[kind]+`",`, 1)
		if err := protojson.Unmarshal([]byte(j), a); err != nil {
			t.Fatal(name, err)
		}
		out[name] = a
	}
	return out
}

const (
	edsCluster = `{name: %s, type: EDS, connect_timeout: 1s, eds_cluster_config: {eds_config: {resource_api_version: V3, ads: {}}}}`
	endpoints  = `{cluster_name: %s, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %s}}}}]}]}`
	// It comes late: at 127.0.0.1 a client could have the port by then.
	listener = `{name: %s, address: {socket_address: {address: 127.0.0.9, port_value: PORT}}, filter_chains: [{filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h,
  rds: {route_config_name: %s, config_source: {resource_api_version: V3, ads: {}}}, http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]}`
	routes = `{name: %s, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: %s}}]}]}`
)

// script is what the control plane says, one after another.
var script = []told{
	{kind: "Cluster", version: "c1", add: map[string]string{"a": fmt.Sprintf(edsCluster, "a"), "b": fmt.Sprintf(edsCluster, "b")}},
	{kind: "ClusterLoadAssignment", version: "e1", add: map[string]string{"a": fmt.Sprintf(endpoints, "a", "U1"), "b": fmt.Sprintf(endpoints, "b", "U2"), "z": fmt.Sprintf(endpoints, "z", "U2")}},
	{kind: "Listener", version: "l1", add: map[string]string{"l": fmt.Sprintf(listener, "l", "r")}},
	{kind: "RouteConfiguration", version: "r1", add: map[string]string{"r": fmt.Sprintf(routes, "r", "a")}},
	// One cluster is malformed, one is new and well.
	{kind: "Cluster", version: "c2", add: map[string]string{"a": fmt.Sprintf(edsCluster, "a"), "b": fmt.Sprintf(edsCluster, "b"), "d": fmt.Sprintf(edsCluster, "d"), "bad": `{name: bad, type: EDS, connect_timeout: 1s}`}},
	{kind: "ClusterLoadAssignment", version: "e2", add: map[string]string{"a": fmt.Sprintf(endpoints, "a", "70000")}},
	{kind: "ClusterLoadAssignment", version: "e3", add: map[string]string{"a": fmt.Sprintf(endpoints, "a", "U2"), "d": fmt.Sprintf(endpoints, "d", "U2")}},
	{kind: "ClusterLoadAssignment", version: "e4", add: map[string]string{"a": "Cluster!" + fmt.Sprintf(edsCluster, "a")}},
	{kind: "RouteConfiguration", version: "r2", add: map[string]string{"r": fmt.Sprintf(routes, "r", "nowhere")}},
	{kind: "RouteConfiguration", version: "r3", add: map[string]string{"r": `{name: r, virtual_hosts: [{name: v, domains: []}]}`}},
	{kind: "Cluster", version: "c3", add: map[string]string{"a": fmt.Sprintf(edsCluster, "a")}, remove: []string{"b", "d", "never"}},
	{kind: "Listener", version: "l3", remove: []string{"l"}},
}

const discovered = `
node: {id: node, cluster: c}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
dynamic_resources:
  ads_config: {api_type: %s, transport_api_version: V3, set_node_on_first_message_only: %v, grpc_services: [{envoy_grpc: {cluster_name: xds}}]}
  cds_config: {resource_api_version: V3, ads: {}}
  lds_config: {resource_api_version: V3, ads: {}}
static_resources: {clusters: [{name: xds, type: STATIC, connect_timeout: 1s, http2_protocol_options: {}, load_assignment: {cluster_name: xds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}}]}
`

// TestDiscovery compares what the proxies ask a control plane, message by
// message, and what they count.
func TestDiscovery(t *testing.T) {
	for name, x := range map[string]struct {
		api       string
		firstOnly bool
	}{"state of the world": {"GRPC", false}, "delta": {"DELTA_GRPC", true}} {
		t.Run(name, func(t *testing.T) {
			_, one := startEcho(t, "u1")
			_, two := startEcho(t, "u2")
			both(t, func(t *testing.T, p *proxy) any {
				a := &ads{asked: make(chan string, 1000), say: make(chan *discoveryv3.DiscoveryResponse), sayDelta: make(chan *discoveryv3.DeltaDiscoveryResponse)}
				defer close(a.say)
				defer close(a.sayDelta)
				port := serve(t, func(s *grpc.Server) { discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, a) })
				fill := strings.NewReplacer("PORT", fmt.Sprint(p.port), "U1", fmt.Sprint(one), "U2", fmt.Sprint(two))
				started := make(chan error, 1)
				go func() { started <- p.start(toJSON(t, fmt.Sprintf(discovered, p.admin, x.api, x.firstOnly, port))) }()
				out := []string{<-a.asked}
				out = append(out, a.quiet()...)
				for i, r := range script {
					nonce := fmt.Sprint("n", i)
					resources := r.resources(t, fill)
					names := sorted(keys(resources))
					if x.api == "GRPC" {
						m := &discoveryv3.DiscoveryResponse{TypeUrl: typePrefix + kinds[r.kind], VersionInfo: r.version, Nonce: nonce}
						for _, n := range names {
							m.Resources = append(m.Resources, resources[n])
						}
						a.say <- m
					} else {
						m := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typePrefix + kinds[r.kind], SystemVersionInfo: r.version, Nonce: nonce, RemovedResources: r.remove}
						for _, n := range names {
							m.Resources = append(m.Resources, &discoveryv3.Resource{Name: n, Version: r.version, Resource: resources[n]})
						}
						a.sayDelta <- m
					}
					out = append(out, a.quiet()...)
				}
				if err := <-started; err != nil {
					t.Fatal(err)
				}
				defer p.stop()
				// The order of types is free: Envoy answers for clusters once
				// their endpoints have come.
				slices.SortStableFunc(out, func(a, b string) int {
					return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0])
				})
				s, err := p.statistics(discoveryStats)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range discoveryStats {
					out = append(out, n+": "+s[n])
				}
				return out
			})
		})
	}
}

func keys(m map[string]*anypb.Any) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

var discoveryStats = []string{
	"cluster_manager.cds.update_attempt", "cluster_manager.cds.update_success", "cluster_manager.cds.update_rejected", "cluster_manager.cds.update_failure", "cluster_manager.cds.init_fetch_timeout", "cluster_manager.cds.version",
	"cluster_manager.active_clusters", "cluster_manager.warming_clusters", "cluster_manager.cluster_added", "cluster_manager.cluster_modified", "cluster_manager.cluster_removed", "cluster_manager.cluster_updated", "cluster_manager.cluster_updated_via_merge", "cluster_manager.update_merge_cancelled", "cluster_manager.update_out_of_merge_window",
	"listener_manager.lds.update_attempt", "listener_manager.lds.update_success", "listener_manager.lds.update_rejected", "listener_manager.lds.version",
	"listener_manager.listener_added", "listener_manager.listener_modified", "listener_manager.listener_removed", "listener_manager.listener_in_place_updated", "listener_manager.total_listeners_active", "listener_manager.total_listeners_warming",
	"cluster.a.update_attempt", "cluster.a.update_success", "cluster.a.update_rejected", "cluster.a.update_empty", "cluster.a.assignment_stale", "cluster.a.assignment_timeout_received", "cluster.a.membership_total", "cluster.a.membership_change", "cluster.b.membership_total",
	"http.h.rds.r.update_attempt", "http.h.rds.r.update_success", "http.h.rds.r.update_rejected", "http.h.rds.r.config_reload", "http.h.rds.r2.update_attempt", "http.h.rds.r2.update_success",
	"control_plane.connected_state", "control_plane.pending_requests", "control_plane.rate_limit_enforced", "control_plane.identifier",
}
