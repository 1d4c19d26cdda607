//go:build oracle

package oracle

import (
	"fmt"
	"net"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/internal/testbinary"
)

// serve runs a gRPC server and gives its port.
func serve(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	if register != nil {
		register(s)
	}
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

// both runs f against Envoy, then against weir, and compares what it gives.
func both(t *testing.T, f func(t *testing.T, p *proxy) any) {
	t.Helper()
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	want := f(t, newProxy(t, "envoy", findEnvoy(t), "--disable-hot-restart"))
	got := f(t, newProxy(t, "weir", weir, "proxy"))
	if *show {
		t.Logf("%v", want)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("weir (+) differs from Envoy (-):\n%s", d)
	}
}

// lrs asks for load reports and adds them up.
type lrs struct {
	loadv3.UnimplementedLoadReportingServiceServer
	ask     *loadv3.LoadStatsResponse
	reports chan *loadv3.LoadStatsRequest
}

func (l *lrs) StreamLoadStats(s loadv3.LoadReportingService_StreamLoadStatsServer) error {
	for first := true; ; first = false {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		l.reports <- m
		if first {
			if err := s.Send(l.ask); err != nil {
				return err
			}
		}
	}
}

const reported = `
node: {id: node, cluster: c, locality: {zone: here}}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %[1]d}}}
cluster_manager: {load_stats_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: lrs}}]}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: %[2]d}}
    filter_chains: [{filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h,
      route_config: {virtual_hosts: [{name: a, domains: ["*"], routes: [{match: {prefix: /drop}, route: {cluster: drop}}, {match: {prefix: /full}, route: {cluster: full}}, {match: {prefix: /}, route: {cluster: load}}]}]},
      http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]
  clusters:
  - {name: lrs, type: STATIC, connect_timeout: 1s, http2_protocol_options: {}, load_assignment: {cluster_name: lrs, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[3]d}}}}]}]}}
  - {name: load, type: STATIC, connect_timeout: 1s, load_assignment: {cluster_name: load, endpoints: [{locality: {zone: a}, lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[4]d}}}}]}, {locality: {zone: b}, lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[5]d}}}}]}]}}
  - {name: full, type: STATIC, connect_timeout: 1s, circuit_breakers: {thresholds: [{max_requests: 0}]}, load_assignment: {cluster_name: full, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[4]d}}}}]}]}}
  - {name: drop, type: STATIC, connect_timeout: 1s, load_assignment: {cluster_name: drop, policy: {drop_overloads: [{category: much, drop_percentage: {numerator: 100}}]}, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %[4]d}}}}]}]}}
`

func TestLoadReports(t *testing.T) {
	for name, ask := range map[string]*loadv3.LoadStatsResponse{
		"some clusters":     {Clusters: []string{"load", "full", "missing"}},
		"all, by endpoint":  {SendAllClusters: true, ReportEndpointGranularity: true},
		"dropped by policy": {Clusters: []string{"drop"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, one := startEcho(t, "u1")
			_, two := startEcho(t, "u2")
			ask.LoadReportingInterval = durationpb.New(200 * time.Millisecond)
			both(t, func(t *testing.T, p *proxy) any {
				l := &lrs{ask: ask, reports: make(chan *loadv3.LoadStatsRequest, 1000)}
				port := serve(t, func(s *grpc.Server) { loadv3.RegisterLoadReportingServiceServer(s, l) })
				if err := p.start(toJSON(t, fmt.Sprintf(reported, p.admin, p.port, port, one, two))); err != nil {
					t.Fatal(err)
				}
				defer p.stop()
				var lines []string
				next := func() *loadv3.LoadStatsRequest {
					select {
					case m := <-l.reports:
						return m
					case <-time.After(10 * time.Second):
						t.Fatal("no report for 10 s")
						return nil
					}
				}
				first := next()
				lines = append(lines, fmt.Sprintf("%s %s %s %v %v", first.Node.GetId(), first.Node.GetCluster(), first.Node.GetLocality().GetZone(), first.Node.GetClientFeatures(), first.ClusterStats))
				next() // the first period has begun
				for _, path := range []string{"/a", "/b", "/c", "/d", "/full", "/drop"} {
					r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path))
					if err != nil {
						t.Fatal(err)
					}
					r.Body.Close()
				}
				r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/", p.port), nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("x-do", "status=500")
				for range 2 {
					if _, err := http.DefaultClient.Do(r); err != nil {
						t.Fatal(err)
					}
				}
				sums := map[string]uint64{}
				for range 4 { // periods, more than the requests took
					for _, c := range next().ClusterStats {
						if c.LoadReportInterval.AsDuration() < 150*time.Millisecond {
							t.Errorf("an interval of %v", c.LoadReportInterval.AsDuration())
						}
						key := c.ClusterName + "/" + c.ClusterServiceName
						sums[key+" dropped"] += c.TotalDroppedRequests
						for _, d := range c.DroppedRequests {
							sums[key+" dropped "+d.Category] += d.DroppedCount
						}
						for _, l := range c.UpstreamLocalityStats {
							if c.ClusterName == "lrs" {
								continue // the reports' own stream
							}
							key := fmt.Sprintf("%s %s %d", key, l.Locality.GetZone(), l.Priority)
							sums[key+" ok"] += l.TotalSuccessfulRequests
							sums[key+" failed"] += l.TotalErrorRequests
							sums[key+" issued"] += l.TotalIssuedRequests
							for _, e := range l.UpstreamEndpointStats {
								sums[fmt.Sprintf("%s %d issued", key, e.Address.GetSocketAddress().GetPortValue())] += e.TotalIssuedRequests
							}
						}
					}
				}
				for k, n := range sums {
					lines = append(lines, fmt.Sprintf("%s: %d", k, n))
				}
				sort.Strings(lines)
				return lines
			})
		})
	}
}

// hds asks for health checks.
type hds struct {
	healthv3.UnimplementedHealthDiscoveryServiceServer
	ask     *healthv3.HealthCheckSpecifier
	reports chan *healthv3.HealthCheckRequestOrEndpointHealthResponse
}

func (h *hds) StreamHealthCheck(s healthv3.HealthDiscoveryService_StreamHealthCheckServer) error {
	for first := true; ; first = false {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		h.reports <- m
		if first {
			if err := s.Send(h.ask); err != nil {
				return err
			}
		}
	}
}

func TestHealthDiscovery(t *testing.T) {
	_, echo := startEcho(t, "u1")
	dead := deadPort(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	mute := silent.Addr().(*net.TCPAddr).Port
	at := func(port int) *endpointv3.Endpoint {
		return &endpointv3.Endpoint{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)}}}}}
	}
	check := func(c *corev3.HealthCheck) []*corev3.HealthCheck {
		c.Timeout, c.Interval, c.NoTrafficInterval = durationpb.New(200*time.Millisecond), durationpb.New(100*time.Millisecond), durationpb.New(100*time.Millisecond)
		c.HealthyThreshold, c.UnhealthyThreshold = wrapperspb.UInt32(1), wrapperspb.UInt32(1)
		return []*corev3.HealthCheck{c}
	}
	over := func(path string) []*corev3.HealthCheck {
		return check(&corev3.HealthCheck{HealthChecker: &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{Path: path, Host: "h"}}})
	}
	tcp := check(&corev3.HealthCheck{HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}})
	named := func(name string, cs []*corev3.HealthCheck) []*corev3.HealthCheck {
		c := proto.Clone(cs[0]).(*corev3.HealthCheck)
		c.Name = name
		return []*corev3.HealthCheck{c}
	}
	ends := func(es ...*endpointv3.Endpoint) []*healthv3.LocalityEndpoints {
		return []*healthv3.LocalityEndpoints{{Endpoints: es}}
	}
	for name, ask := range map[string]*healthv3.HealthCheckSpecifier{
		"HTTP, in two localities": {ClusterHealthChecks: []*healthv3.ClusterHealthCheck{{ClusterName: "web", HealthChecks: over("/"), LocalityEndpoints: []*healthv3.LocalityEndpoints{
			{Locality: &corev3.Locality{Region: "r", Zone: "a"}, Endpoints: []*endpointv3.Endpoint{at(echo), at(dead)}},
			{Locality: &corev3.Locality{Region: "r", Zone: "b"}, Endpoints: []*endpointv3.Endpoint{at(mute)}},
		}}}},
		"two clusters, one of them TCP": {ClusterHealthChecks: []*healthv3.ClusterHealthCheck{
			{ClusterName: "one", HealthChecks: over("/x"), LocalityEndpoints: []*healthv3.LocalityEndpoints{{Endpoints: []*endpointv3.Endpoint{at(echo)}}}},
			{ClusterName: "two", HealthChecks: tcp, LocalityEndpoints: []*healthv3.LocalityEndpoints{{Locality: &corev3.Locality{Zone: "z"}, Endpoints: []*endpointv3.Endpoint{at(echo), at(dead)}}}},
		}},
		"two checks, with names":    {ClusterHealthChecks: []*healthv3.ClusterHealthCheck{{ClusterName: "both", HealthChecks: append(named("a", over("/")), named("b", tcp)...), LocalityEndpoints: ends(at(echo), at(dead))}}},
		"two checks, without names": {ClusterHealthChecks: []*healthv3.ClusterHealthCheck{{ClusterName: "both", HealthChecks: append(over("/"), tcp...), LocalityEndpoints: ends(at(echo), at(dead))}}},
	} {
		t.Run(name, func(t *testing.T) {
			ask.Interval = durationpb.New(100 * time.Millisecond)
			both(t, func(t *testing.T, p *proxy) any {
				h := &hds{ask: ask, reports: make(chan *healthv3.HealthCheckRequestOrEndpointHealthResponse, 1000)}
				port := serve(t, func(s *grpc.Server) { healthv3.RegisterHealthDiscoveryServiceServer(s, h) })
				config := fmt.Sprintf(`
node: {id: node, cluster: c}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
hds_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: hds}}]}
static_resources: {clusters: [{name: hds, type: STATIC, connect_timeout: 1s, http2_protocol_options: {}, load_assignment: {cluster_name: hds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}}]}
`, p.admin, port)
				if err := p.start(toJSON(t, config)); err != nil {
					t.Fatal(err)
				}
				defer p.stop()
				first := (<-h.reports).GetHealthCheckRequest()
				out := []string{fmt.Sprint(first.GetNode().GetId(), first.GetCapability().GetHealthCheckProtocols())}
				// Steady once as many reports in a row are the same.
				last, same := "", 0
				for deadline := time.After(10 * time.Second); same < 6; {
					select {
					case m := <-h.reports:
						if s := healthText(m.GetEndpointHealthResponse()); s != last {
							last, same = s, 0
						}
						same++
					case <-deadline:
						t.Fatalf("not steady: %s", last)
					}
				}
				s, err := p.statistics([]string{"hds_delegate.requests", "hds_delegate.errors", "hds_delegate.updates", "cluster.two.health_check.healthy", "cluster.web.health_check.healthy"})
				if err != nil {
					t.Fatal(err)
				}
				return append(out, last, fmt.Sprint(s))
			})
		})
	}
}

// healthText is a report in a form that can be compared.
func healthText(m *healthv3.EndpointHealthResponse) string {
	var b strings.Builder
	for _, c := range m.GetClusterEndpointsHealth() {
		fmt.Fprintf(&b, "%s:\n", c.ClusterName)
		for _, l := range c.LocalityEndpointsHealth {
			fmt.Fprintf(&b, "  %s/%s:", l.Locality.GetRegion(), l.Locality.GetZone())
			for _, e := range l.EndpointsHealth {
				fmt.Fprintf(&b, " %d %s", e.Endpoint.GetAddress().GetSocketAddress().GetPortValue(), e.HealthStatus)
			}
			b.WriteString("\n")
		}
	}
	//lint:ignore SA1019 both fill it in
	fmt.Fprintf(&b, "%d in the flat list\n", len(m.GetEndpointsHealth()))
	return b.String()
}

func toJSON(t *testing.T, y string) []byte {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(y))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
