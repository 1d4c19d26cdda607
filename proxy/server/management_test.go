package server

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	healthv3 "github.com/envoyproxy/go-control-plane/envoy/service/health/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// healthServer asks for checks and passes the reports on.
type healthServer struct {
	healthv3.UnimplementedHealthDiscoveryServiceServer
	asks    chan *healthv3.HealthCheckSpecifier
	reports chan *healthv3.EndpointHealthResponse
}

func (h *healthServer) StreamHealthCheck(s healthv3.HealthDiscoveryService_StreamHealthCheckServer) error {
	go func() {
		for ask := range h.asks {
			s.Send(ask)
		}
	}()
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if r := m.GetEndpointHealthResponse(); r != nil {
			h.reports <- r
		}
	}
}

func TestHealthDiscovery(t *testing.T) {
	well := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer well.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &healthServer{asks: make(chan *healthv3.HealthCheckSpecifier, 1), reports: make(chan *healthv3.EndpointHealthResponse, 1000)}
	g := grpc.NewServer()
	healthv3.RegisterHealthDiscoveryServiceServer(g, h)
	go g.Serve(l)
	t.Cleanup(g.Stop)
	p := start(t, fmt.Sprintf(`
node: {id: a, cluster: b}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
hds_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: hds}}]}
static_resources: {clusters: [{name: hds, type: STATIC, http2_protocol_options: {}, load_assignment: {cluster_name: hds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}}]}
`, l.Addr().(*net.TCPAddr).Port))
	ask := func(status int64) *healthv3.HealthCheckSpecifier {
		return &healthv3.HealthCheckSpecifier{Interval: durationpb.New(10 * time.Millisecond), ClusterHealthChecks: []*healthv3.ClusterHealthCheck{{
			ClusterName: "c",
			HealthChecks: []*corev3.HealthCheck{{
				Timeout: durationpb.New(time.Second), Interval: durationpb.New(10 * time.Millisecond), NoTrafficInterval: durationpb.New(10 * time.Millisecond),
				HealthyThreshold: wrapperspb.UInt32(1), UnhealthyThreshold: wrapperspb.UInt32(1),
				HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}},
			}},
			LocalityEndpoints: []*healthv3.LocalityEndpoints{{Locality: &corev3.Locality{Zone: "z"}, Endpoints: []*endpointv3.Endpoint{{
				Hostname: fmt.Sprint(status), Address: addressOf(network.IPAddress(well.Listener.Addr().(*net.TCPAddr).AddrPort()))}}}},
		}}}
	}
	await := func(want corev3.HealthStatus) {
		t.Helper()
		for end := time.After(10 * time.Second); ; {
			select {
			case r := <-h.reports:
				c := r.GetClusterEndpointsHealth()
				if len(c) == 1 && c[0].ClusterName == "c" && c[0].LocalityEndpointsHealth[0].Locality.GetZone() == "z" &&
					c[0].LocalityEndpointsHealth[0].EndpointsHealth[0].HealthStatus == want {
					return
				}
			case <-end:
				t.Fatalf("no report of %v", want)
			}
		}
	}
	h.asks <- ask(1)
	await(corev3.HealthStatus_HEALTHY)
	well.Close()
	await(corev3.HealthStatus_UNHEALTHY)
	h.asks <- ask(2) // another cluster of the name
	await(corev3.HealthStatus_UNHEALTHY)
	p.wantStat("hds_delegate.updates", "2")
	h.asks <- &healthv3.HealthCheckSpecifier{ClusterHealthChecks: []*healthv3.ClusterHealthCheck{{ClusterName: "no checks"}}}
	p.wantStat("hds_delegate.errors", "1")
	close(h.asks)
}

func TestLoadFigures(t *testing.T) {
	host := func(addr string, zone string) *cluster.Host {
		a := network.IPAddress(netip.MustParseAddrPort(addr))
		return cluster.NewHost(a, "", 1, &cluster.Locality{Zone: zone}, 1)
	}
	a, b, quiet := host("10.0.0.1:80", "a"), host("10.0.0.2:80", "b"), host("10.0.0.3:80", "c")
	s := &upstream.Status{Info: &cluster.Info{Name: "c"}, EDSName: "service", Hosts: []upstream.HostStatus{
		{Host: a, Stats: cluster.HostStats{RqTotal: 10, RqSuccess: 9, RqError: 1}}, {Host: b}, {Host: quiet},
	}, Dropped: 3}
	tr := &tracked{}
	tr.latch(s, false) // what was before
	s.Hosts[0].Stats.RqTotal, s.Hosts[0].Stats.RqSuccess = 14, 12
	s.Hosts[1].Stats.RqTotal, s.Hosts[1].Stats.RqError = 2, 1
	s.Hosts[1].Stats.RqActive.Set(1)
	s.Dropped, s.DropOverload, s.DropCategory = 8, 2, "much"
	got := tr.latch(s, true)
	if got.ClusterName != "c" || got.ClusterServiceName != "service" || got.TotalDroppedRequests != 5 ||
		len(got.DroppedRequests) != 1 || got.DroppedRequests[0].DroppedCount != 2 || got.DroppedRequests[0].Category != "much" {
		t.Errorf("got %v", got)
	}
	if n := len(got.UpstreamLocalityStats); n != 2 {
		t.Fatalf("%d localities, want those with load", n)
	}
	l := got.UpstreamLocalityStats[0]
	if l.TotalIssuedRequests != 4 || l.TotalSuccessfulRequests != 3 || l.TotalErrorRequests != 0 || len(l.UpstreamEndpointStats) != 1 {
		t.Errorf("got %v", l)
	}
	if l = got.UpstreamLocalityStats[1]; l.TotalIssuedRequests != 2 || l.TotalErrorRequests != 1 || l.TotalRequestsInProgress != 1 {
		t.Errorf("got %v", l)
	}
	s.Hosts[1].Stats.RqActive.Set(0)
	if got := tr.latch(s, true); len(got.UpstreamLocalityStats) != 0 || got.TotalDroppedRequests != 0 {
		t.Errorf("told twice: %v", got)
	}
}
