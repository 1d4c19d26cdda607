package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/grpc"
	grpcbackoff "google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/xds/protos"
)

// target is a management server and how to talk to it.
type target struct {
	name          string // for logs
	uri           string // of google_grpc
	addresses     []resolver.Address
	authority     string
	metadata      metadata.MD
	timeout       time.Duration // to connect
	keepAlive     net.KeepAliveConfig
	maxMessage    int  // bytes
	nodeFirstOnly bool // ApiConfigSource.set_node_on_first_message_only
	// late lets the cluster be missing, as Envoy does for secrets: there is no
	// answer then.
	late, missing bool
	secure        func() *tls.Config // nil: plain text
	delta         bool               // the incremental protocol is spoken
	http2         bool               // its cluster speaks HTTP/2
	rest          *restTarget        // nil: gRPC
}

const (
	// defaultMaxMessage bounds a response; Envoy has no bound, gRPC's default
	// of 4 MB is too small for a large mesh.
	defaultMaxMessage = 256 << 20
	defaultConnect    = 5 * time.Second // Cluster.connect_timeout's default
)

// apiTarget checks an ApiConfigSource and finds its server, whose cluster may
// be missing if late.
func (c *Client) apiTarget(path field.Path, api *corev3.ApiConfigSource, late bool) (*target, error) {
	if err := field.Only(path, api, "api_type", "transport_api_version", "grpc_services", "set_node_on_first_message_only",
		"cluster_names", "refresh_delay", "request_timeout"); err != nil {
		return nil, err
	}
	switch api.ApiType {
	case corev3.ApiConfigSource_GRPC, corev3.ApiConfigSource_DELTA_GRPC:
	case corev3.ApiConfigSource_REST:
		return c.restTarget(path, api)
	default: // those for xdstp:// names only
		return nil, path.Dot("api_type").Errorf("weir does not support %s", api.ApiType)
	}
	// request_timeout is for REST.
	if err := field.Only(path, api, "api_type", "transport_api_version", "grpc_services", "set_node_on_first_message_only", "request_timeout"); err != nil {
		return nil, err
	}
	if v := api.TransportApiVersion; v != corev3.ApiVersion_AUTO && v != corev3.ApiVersion_V3 {
		return nil, path.Dot("transport_api_version").Errorf("%s is no longer supported, set V3", v)
	}
	services := path.Dot("grpc_services")
	if n := len(api.GrpcServices); n != 1 {
		return nil, services.Errorf("want one service, found %d", n)
	}
	t, err := c.serviceTarget(services.Index(0), api.GrpcServices[0], late)
	if err != nil {
		return nil, err
	}
	t.nodeFirstOnly = api.SetNodeOnFirstMessageOnly
	t.delta = api.ApiType == corev3.ApiConfigSource_DELTA_GRPC
	return t, nil
}

// restTarget is the server of an api_type REST.
func (c *Client) restTarget(path field.Path, api *corev3.ApiConfigSource) (*target, error) {
	if err := field.Only(path, api, "api_type", "transport_api_version", "cluster_names", "refresh_delay", "request_timeout"); err != nil {
		return nil, err
	}
	if n := len(api.ClusterNames); n != 1 {
		return nil, path.Dot("cluster_names").Errorf("want one cluster, found %d", n)
	}
	if api.RefreshDelay == nil {
		return nil, path.Dot("refresh_delay").Errorf("is required for REST")
	}
	t := &target{timeout: defaultConnect, maxMessage: defaultMaxMessage, authority: api.ClusterNames[0],
		rest: &restTarget{every: max(api.RefreshDelay.AsDuration(), time.Millisecond), timeout: time.Second}}
	if d := api.RequestTimeout; d != nil {
		t.rest.timeout = d.AsDuration()
	}
	return t, c.clusterTarget(path.Dot("cluster_names").Index(0), api.ClusterNames[0], t)
}

func (c *Client) serviceTarget(path field.Path, s *corev3.GrpcService, late bool) (*target, error) {
	// timeout is for single calls; a stream has none.
	if err := field.Only(path, s, "envoy_grpc", "google_grpc", "initial_metadata", "timeout"); err != nil {
		return nil, err
	}
	t := &target{timeout: defaultConnect, maxMessage: defaultMaxMessage, metadata: metadata.MD{}, late: late}
	for i, h := range s.InitialMetadata {
		if err := field.Only(path.Dot("initial_metadata").Index(i), h, "key", "value", "raw_value"); err != nil {
			return nil, err
		}
		t.metadata.Append(h.Key, h.Value+string(h.RawValue))
	}
	if g := s.GetGoogleGrpc(); g != nil {
		path = path.Dot("google_grpc")
		t.name, t.uri = g.TargetUri, g.TargetUri
		return t, field.Only(path, g, "target_uri", "stat_prefix")
	}
	e := s.GetEnvoyGrpc()
	path = path.Dot("envoy_grpc")
	if e == nil {
		return nil, path.Errorf("not set")
	}
	if err := field.Only(path, e, "cluster_name", "authority", "max_receive_message_length", "skip_envoy_headers"); err != nil {
		return nil, err
	}
	if m := e.MaxReceiveMessageLength; m != nil {
		t.maxMessage = int(m.Value)
	}
	if t.authority = e.Authority; t.authority == "" {
		t.authority = e.ClusterName
	}
	return t, c.clusterTarget(path.Dot("cluster_name"), e.ClusterName, t)
}

// clusterTarget fills in the addresses of a static cluster.
func (c *Client) clusterTarget(path field.Path, name string, t *target) error {
	cl := c.clusters[name]
	if cl == nil && t.late {
		t.name, t.missing = name, true
		return nil
	}
	if cl == nil {
		return path.Errorf("no static cluster %q in static_resources.clusters", name)
	}
	var err error
	if t.secure, err = c.security(cl); err != nil {
		return path.Errorf("cluster %q: %w", name, err)
	}
	switch cl.GetType() {
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
	default:
		return path.Errorf("cluster %q is of type %s: a management server's must be STATIC, STRICT_DNS or LOGICAL_DNS", name, cl.GetType())
	}
	if d := cl.ConnectTimeout; d != nil {
		t.timeout = d.AsDuration()
	}
	t.keepAlive = keepAlive(cl.GetUpstreamConnectionOptions().GetTcpKeepalive())
	t.name = name
	t.http2 = speaksHTTP2(cl)
	for _, locality := range cl.GetLoadAssignment().GetEndpoints() {
		for _, ep := range locality.LbEndpoints {
			addr, err := dialAddress(ep.GetEndpoint().GetAddress())
			if err != nil {
				return path.Errorf("cluster %q: %w", name, err)
			}
			t.addresses = append(t.addresses, resolver.Address{Addr: addr})
		}
	}
	if len(t.addresses) == 0 {
		return path.Errorf("cluster %q has no endpoint", name)
	}
	return nil
}

// speaksHTTP2 tells whether a cluster is configured for HTTP/2.
func speaksHTTP2(cl *clusterv3.Cluster) bool {
	//lint:ignore SA1019 deprecated, but Envoy obeys it
	if cl.GetHttp2ProtocolOptions() != nil {
		return true
	}
	const key = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	o := &httpv3.HttpProtocolOptions{}
	a := cl.GetTypedExtensionProtocolOptions()[key]
	return a != nil && protos.Unpack("", a, o) == nil && o.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil
}

const (
	rawBuffer   = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
	upstreamTLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
)

// security is how connections to a cluster are made secure; nil: they are not.
func (c *Client) security(cl *clusterv3.Cluster) (func() *tls.Config, error) {
	if len(cl.TransportSocketMatches) > 0 {
		return nil, field.Path("transport_socket_matches").Errorf("weir does not support it for a management server")
	}
	ts := cl.TransportSocket
	if ts == nil || protos.TypeName(ts.GetTypedConfig()) == rawBuffer {
		return nil, nil
	}
	if c.secure == nil || protos.TypeName(ts.GetTypedConfig()) != upstreamTLS {
		return nil, field.Path("transport_socket").Errorf("weir does not support %s to a management server", ts.Name)
	}
	return c.secure(field.Path("transport_socket").Dot("typed_config"), ts)
}

// dialAddress is an endpoint's address as dial takes it.
func dialAddress(a *corev3.Address) (string, error) {
	if p := a.GetPipe(); p != nil {
		return "unix:" + p.Path, nil
	}
	s := a.GetSocketAddress()
	if s == nil {
		return "", field.Path("address").Errorf("want a socket_address or a pipe")
	}
	if s.GetNamedPort() != "" || s.Protocol != corev3.SocketAddress_TCP || s.ResolverName != "" {
		return "", field.Path("address").Errorf("want a TCP address with a port_value and no resolver_name")
	}
	return net.JoinHostPort(s.Address, strconv.Itoa(int(s.GetPortValue()))), nil
}

// connect makes a connection object; gRPC dials when the stream is opened.
func (t *target) connect() (*grpc.ClientConn, error) {
	if t.missing {
		return nil, fmt.Errorf("no static cluster %q", t.name)
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(t.maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: grpcbackoff.DefaultConfig, MinConnectTimeout: t.timeout}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": true}}]}`),
	}
	if t.uri != "" {
		return grpc.NewClient(t.uri, opts...)
	}
	r := manual.NewBuilderWithScheme("weir")
	r.InitialState(resolver.State{Addresses: t.addresses})
	return grpc.NewClient("weir:///"+t.name, append(opts,
		grpc.WithResolvers(r),
		grpc.WithAuthority(t.authority),
		grpc.WithNoProxy(),
		grpc.WithContextDialer(t.dial),
	)...)
}

// keepAlive is the cluster's TCP keepalive. It is always on, by Go's defaults
// where the cluster says nothing (15 s, 15 s, 9 probes): how else would a
// server be missed that has lost its power?
func keepAlive(k *corev3.TcpKeepalive) net.KeepAliveConfig {
	return net.KeepAliveConfig{
		Enable:   true,
		Idle:     time.Duration(k.GetKeepaliveTime().GetValue()) * time.Second,
		Interval: time.Duration(k.GetKeepaliveInterval().GetValue()) * time.Second,
		Count:    int(k.GetKeepaliveProbes().GetValue()),
	}
}

// dial connects to one address. A name in it is resolved anew each time, so a
// server that moves is found again.
func (t *target) dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: t.timeout, KeepAliveConfig: t.keepAlive}
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil || t.secure == nil {
		return conn, err
	}
	config := t.secure()
	if config == nil {
		conn.Close()
		return nil, errors.New("the secrets for TLS are not there yet")
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS to %s: %w", addr, err)
	}
	return secured, nil
}

// dialAny connects to one of the addresses, for REST.
func (t *target) dialAny(ctx context.Context, _, _ string) (net.Conn, error) {
	return t.dial(ctx, t.addresses[rand.IntN(len(t.addresses))].Addr)
}

// protocols are what HTTP requests are sent by.
func (t *target) protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(!t.http2)
	p.SetUnencryptedHTTP2(t.http2)
	return p
}
