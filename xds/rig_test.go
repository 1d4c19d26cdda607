package xds_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/xds"
)

// mainLoop is the main goroutine of a test: it runs what is posted.
type mainLoop struct {
	t     *testing.T
	mu    sync.Mutex
	queue []func()
	wake  chan struct{}
}

func newMain(t *testing.T) *mainLoop { return &mainLoop{t: t, wake: make(chan struct{}, 1)} }

func (m *mainLoop) post(f func()) {
	m.mu.Lock()
	m.queue = append(m.queue, f)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// turn runs what is posted, and waits for more if there is nothing.
func (m *mainLoop) turn(deadline <-chan time.Time) (timedOut bool) {
	m.mu.Lock()
	q := m.queue
	m.queue = nil
	m.mu.Unlock()
	for _, f := range q {
		f()
	}
	if len(q) > 0 {
		return false
	}
	select {
	case <-m.wake:
		return false
	case <-deadline:
		return true
	}
}

// until runs the loop until ok holds.
func (m *mainLoop) until(what string, ok func() bool) {
	m.t.Helper()
	deadline := time.After(20 * time.Second)
	for !ok() {
		if m.turn(deadline) {
			m.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// idle runs the loop for a while, for what must not happen.
func (m *mainLoop) idle(d time.Duration) {
	for deadline := time.After(d); !m.turn(deadline); {
	}
}

// server is a go-control-plane server on a real socket.
type server struct {
	t       *testing.T
	main    *mainLoop
	addr    string
	cache   cachev3.SnapshotCache
	grpc    *grpc.Server
	version int

	mu       sync.Mutex
	requests []*discoveryv3.DiscoveryRequest // as received
	methods  map[string]int                  // streams opened, by type URL ("" is ADS)
	nonces   map[string]string               // of the newest response, by type URL
	options  []grpc.ServerOption
}

func newServer(t *testing.T, m *mainLoop, ads bool) *server {
	s := &server{t: t, main: m, methods: map[string]int{}, nonces: map[string]string{}}
	s.cache = cachev3.NewSnapshotCache(ads, cachev3.IDHash{}, nil)
	s.start("127.0.0.1:0")
	t.Cleanup(func() { s.grpc.Stop() })
	return s
}

func (s *server) start(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	x := serverv3.NewServer(context.Background(), s.cache, serverv3.CallbackFuncs{
		StreamOpenFunc: func(_ context.Context, _ int64, typeURL string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.methods[typeURL]++
			return nil
		},
		StreamResponseFunc: func(_ context.Context, _ int64, _ *discoveryv3.DiscoveryRequest, r *discoveryv3.DiscoveryResponse) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.nonces[r.TypeUrl] = r.Nonce
		},
		StreamRequestFunc: func(_ int64, r *discoveryv3.DiscoveryRequest) error {
			s.mu.Lock()
			s.requests = append(s.requests, r)
			s.mu.Unlock()
			s.main.post(func() {}) // let until look again
			return nil
		},
	})
	s.grpc = grpc.NewServer(s.options...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, x)
	listenerservice.RegisterListenerDiscoveryServiceServer(s.grpc, x)
	clusterservice.RegisterClusterDiscoveryServiceServer(s.grpc, x)
	routeservice.RegisterRouteDiscoveryServiceServer(s.grpc, x)
	endpointservice.RegisterEndpointDiscoveryServiceServer(s.grpc, x)
	g := s.grpc
	go g.Serve(l)
}

func (s *server) set(rs ...types.Resource) {
	s.t.Helper()
	s.version++
	byType := map[resource.Type][]types.Resource{}
	for _, r := range rs {
		switch r.(type) {
		case *listenerv3.Listener:
			byType[resource.ListenerType] = append(byType[resource.ListenerType], r)
		case *clusterv3.Cluster:
			byType[resource.ClusterType] = append(byType[resource.ClusterType], r)
		case *routev3.RouteConfiguration:
			byType[resource.RouteType] = append(byType[resource.RouteType], r)
		case *endpointv3.ClusterLoadAssignment:
			byType[resource.EndpointType] = append(byType[resource.EndpointType], r)
		}
	}
	snap, err := cachev3.NewSnapshot(fmt.Sprint(s.version), byType)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cache.SetSnapshot(context.Background(), "node", snap); err != nil {
		s.t.Fatal(err)
	}
}

// last is the newest request for the type, nil if none came.
func (s *server) last(typeURL string) *discoveryv3.DiscoveryRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.requests) - 1; i >= 0; i-- {
		if s.requests[i].TypeUrl == typeURL {
			return s.requests[i]
		}
	}
	return nil
}

func (s *server) count(typeURL string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if r.TypeUrl == typeURL {
			n++
		}
	}
	return n
}

// ack waits for the acceptance of a version that is the newest sent.
func (s *server) ack(typeURL, version string) {
	s.t.Helper()
	s.main.until("ACK of "+version, func() bool {
		r := s.last(typeURL)
		s.mu.Lock()
		defer s.mu.Unlock()
		return r != nil && r.VersionInfo == version && r.ErrorDetail == nil && r.ResponseNonce == s.nonces[typeURL]
	})
}

// --- configuration

func grpcService() *corev3.GrpcService {
	return &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
		EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: "xds"}}}
}

func apiSource() *corev3.ApiConfigSource {
	return &corev3.ApiConfigSource{
		ApiType:             corev3.ApiConfigSource_GRPC,
		TransportApiVersion: corev3.ApiVersion_V3,
		GrpcServices:        []*corev3.GrpcService{grpcService()},
	}
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

func separateSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: apiSource()},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

func bootstrapFor(addr string) *bootstrapv3.Bootstrap {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	var n uint32
	fmt.Sscan(port, &n)
	return &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "node", Cluster: "test"},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{{
			Name:                 "xds",
			ConnectTimeout:       durationpb.New(time.Second),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
			LoadAssignment:       assignment("xds", host, n),
		}}},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{AdsConfig: apiSource()},
	}
}

func newClient(t *testing.T, m *mainLoop, b *bootstrapv3.Bootstrap) *xds.Client {
	t.Helper()
	c, err := xds.New(xds.Options{Bootstrap: b, Post: m.post})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// --- resources

func listener(name string, port uint32) *listenerv3.Listener {
	return &listenerv3.Listener{Name: name, Address: address("127.0.0.1", port)}
}

func cluster(name string) *clusterv3.Cluster { return &clusterv3.Cluster{Name: name} }

func route(name, domain string) *routev3.RouteConfiguration {
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{{Name: "v", Domains: []string{domain}}}}
}

func assignment(cluster, host string, port uint32) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: cluster, Endpoints: []*endpointv3.LocalityLbEndpoints{{
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: address(host, port)}}}},
	}}}
}

func address(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

// --- subscriptions

// watch records what a subscription is told.
type watch struct {
	*xds.Subscription
	updates  int
	version  string
	now      map[string]xds.Resource // of the last update
	failures []xds.Failure
	reasons  []error
	removed  []string
	refuse   error // OnUpdate's answer
	stats    counters
}

type counters map[string]uint64

func (c counters) Declare(...string)          {}
func (c counters) Inc(name string)            { c[name]++ }
func (c counters) Set(name string, v uint64)  { c[name] = v }
func (c counters) SetText(name, value string) {}
func (c counters) Took(time.Duration)         {}

func subscribe(t *testing.T, c *xds.Client, src *corev3.ConfigSource, typeURL string, names ...string) *watch {
	t.Helper()
	w := &watch{stats: counters{}}
	s, err := c.Subscribe(xds.Request{
		Source: src, TypeURL: typeURL, Names: names, Stats: w.stats, Path: "source",
		OnUpdate: func(rs []xds.Resource, version string) error {
			w.updates++
			w.version = version
			w.now = map[string]xds.Resource{}
			for _, r := range rs {
				w.now[r.Name] = r
			}
			return w.refuse
		},
		OnRemoved: func(name string) { w.removed = append(w.removed, name) },
		OnFailure: func(f xds.Failure, err error) {
			w.failures = append(w.failures, f)
			w.reasons = append(w.reasons, err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Subscription = s
	return w
}

func (w *watch) is(version string, names ...string) func() bool {
	return func() bool {
		if w.version != version || len(w.now) != len(names) {
			return false
		}
		for _, n := range names {
			if _, ok := w.now[n]; !ok {
				return false
			}
		}
		return true
	}
}

// has tells whether these are the resources now.
func (w *watch) has(names ...string) func() bool {
	return func() bool {
		if len(w.now) != len(names) {
			return false
		}
		for _, n := range names {
			if _, ok := w.now[n]; !ok {
				return false
			}
		}
		return true
	}
}

// restGateway serves a server's resources over HTTP.
type restGateway struct{ s *server }

func (g restGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := serverv3.HTTPGateway{Server: serverv3.NewServer(context.Background(), g.s.cache, nil)}
	b, code, err := h.ServeHTTP(r)
	if err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	if b == nil {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Write(b)
}

func seconds(s float64) *durationpb.Duration {
	return durationpb.New(time.Duration(s * float64(time.Second)))
}

func (c counters) Close() {}
