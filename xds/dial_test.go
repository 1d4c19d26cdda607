package xds_test

import (
	"net"
	"path/filepath"
	"slices"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/weirproxy/weir/xds"
)

// The management server as envoy_grpc with a TCP or Unix address, and as
// google_grpc, sees the metadata and the authority that are configured.
func TestTargets(t *testing.T) {
	tcp := func(b string) (net.Listener, *corev3.Address) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l, address(b, uint32(l.Addr().(*net.TCPAddr).Port))
	}
	for _, tc := range []struct {
		name, authority string
		google          bool
		listen          func() (net.Listener, *corev3.Address)
		want            string
	}{
		{"IP address", "", false, func() (net.Listener, *corev3.Address) { return tcp("127.0.0.1") }, "xds"},
		{"DNS name", "cp.example", false, func() (net.Listener, *corev3.Address) { return tcp("localhost") }, "cp.example"},
		{"pipe", "", false, func() (net.Listener, *corev3.Address) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			return l, &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}
		}, "xds"},
		{"google_grpc", "", true, func() (net.Listener, *corev3.Address) { return tcp("127.0.0.1") }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, addr := tc.listen()
			seen := make(chan metadata.MD, 1)
			g := grpc.NewServer()
			discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, &scripted{stream: func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
				md, _ := metadata.FromIncomingContext(st.Context())
				seen <- md
				<-st.Context().Done()
				return nil
			}})
			go g.Serve(l)
			t.Cleanup(g.Stop)

			b := bootstrapFor("127.0.0.1:1")
			b.StaticResources.Clusters[0].LoadAssignment = &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{{
				LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: addr}}}}}}}
			s := b.DynamicResources.AdsConfig.GrpcServices[0]
			s.InitialMetadata = []*corev3.HeaderValue{{Key: "X-Token", Value: "a"}, {Key: "x-bin", RawValue: []byte("b")}}
			want := tc.want
			if tc.google {
				want = l.Addr().String()
				s.TargetSpecifier = &corev3.GrpcService_GoogleGrpc_{GoogleGrpc: &corev3.GrpcService_GoogleGrpc{TargetUri: "dns:///" + want}}
			} else {
				s.GetEnvoyGrpc().Authority = tc.authority
			}
			m := newMain(t)
			subscribe(t, newClient(t, m, b), adsSource(), xds.ListenerType)
			md := <-seen
			if !slices.Equal(md["x-token"], []string{"a"}) || !slices.Equal(md["x-bin"], []string{"b"}) {
				t.Errorf("metadata %v", md)
			}
			if !slices.Equal(md[":authority"], []string{want}) {
				t.Errorf("authority %q, want %q", md[":authority"], want)
			}
		})
	}
}

// With one of two endpoints dead, the other serves.
func TestDeadEndpoint(t *testing.T) {
	m := newMain(t)
	s := newServer(t, m, true)
	s.set(cluster("c"))
	b := bootstrapFor(s.addr)
	b.StaticResources.Clusters[0].ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	la := b.StaticResources.Clusters[0].LoadAssignment
	la.Endpoints = append([]*endpointv3.LocalityLbEndpoints{assignment("xds", "127.0.0.1", 1).Endpoints[0]}, la.Endpoints...)
	w := subscribe(t, newClient(t, m, b), adsSource(), xds.ClusterType)
	m.until("clusters", w.is("1", "c"))
}
