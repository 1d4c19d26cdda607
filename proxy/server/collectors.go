package server

import (
	"bytes"
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// collectors implements telemetry.Clients: it connects to hosts of clusters
// from goroutines, beside the workers' pools.
type collectors struct{ s *server }

// Node implements telemetry.Clients.
func (c collectors) Node() *corev3.Node { return c.s.xds.Node() }

// GRPC implements telemetry.Clients.
func (c collectors) GRPC(p field.Path, m *corev3.GrpcService) (telemetry.GRPC, error) {
	if err := field.Only(p, m, "envoy_grpc", "google_grpc", "timeout", "initial_metadata"); err != nil {
		return nil, err
	}
	out := &grpcCollector{timeout: m.GetTimeout().AsDuration(), metadata: metadata.MD{}}
	for i, h := range m.GetInitialMetadata() {
		if err := field.Only(p.Dot("initial_metadata").Index(i), h, "key", "value", "raw_value"); err != nil {
			return nil, err
		}
		out.metadata.Append(h.GetKey(), h.GetValue()+string(h.GetRawValue()))
	}
	target, options := "", []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent("weir/" + buildinfo.Version()),
		grpc.WithDisableServiceConfig(),
	}
	if g := m.GetGoogleGrpc(); g != nil {
		if err := field.Only(p.Dot("google_grpc"), g, "target_uri", "stat_prefix"); err != nil {
			return nil, err
		}
		target = g.GetTargetUri()
	} else {
		e := m.GetEnvoyGrpc()
		if err := field.Only(p.Dot("envoy_grpc"), e, "cluster_name", "authority"); err != nil {
			return nil, err
		}
		if e.GetClusterName() == "" {
			return nil, p.Dot("envoy_grpc").Dot("cluster_name").Errorf("is required")
		}
		authority := e.GetAuthority()
		if authority == "" {
			authority = e.GetClusterName()
		}
		target = "passthrough:///" + e.GetClusterName()
		options = append(options, grpc.WithAuthority(authority), grpc.WithNoProxy(),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.dial(ctx, e.GetClusterName(), "h2") }))
	}
	out.client = sync.OnceValues(func() (*grpc.ClientConn, error) { return grpc.NewClient(target, options...) })
	return out, nil
}

type grpcCollector struct {
	// client is made at the first call: a configuration that is refused or only
	// validated makes none.
	client   func() (*grpc.ClientConn, error)
	metadata metadata.MD
	timeout  time.Duration // 0: none
}

// Call implements telemetry.GRPC.
func (g *grpcCollector) Call(ctx context.Context, method string, request, response proto.Message) error {
	conn, err := g.client()
	if err != nil {
		return err
	}
	if g.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.timeout)
		defer cancel()
	}
	return conn.Invoke(metadata.NewOutgoingContext(ctx, g.metadata), method, request, response)
}

// Stream implements telemetry.GRPC.
func (g *grpcCollector) Stream(ctx context.Context, method string) (telemetry.Stream, error) {
	conn, err := g.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, g.metadata))
	st, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		cancel()
		return nil, err
	}
	go func() { // nothing comes but the end
		for st.RecvMsg(&emptypb.Empty{}) == nil {
		}
		cancel()
	}()
	return grpcStream{st, cancel}, nil
}

// Close implements telemetry.GRPC.
func (g *grpcCollector) Close() {
	if conn, err := g.client(); err == nil {
		conn.Close()
	}
}

type grpcStream struct {
	grpc.ClientStream
	cancel context.CancelFunc
}

// Send implements telemetry.Stream.
func (s grpcStream) Send(m proto.Message) error { return s.SendMsg(m) }

// Close implements telemetry.Stream.
func (s grpcStream) Close() { s.CloseSend(); s.cancel() }

// HTTP implements telemetry.Clients.
func (c collectors) HTTP(name string) telemetry.HTTP {
	return &httpCollector{&http.Client{Transport: &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx, name, "http/1.1") },
		IdleConnTimeout: time.Minute,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type httpCollector struct{ client *http.Client }

// maxAnswer bounds what is read of a collector's answer, to use the connection
// again.
const maxAnswer = 64 << 10

// Do implements telemetry.HTTP.
func (h *httpCollector) Do(ctx context.Context, r telemetry.Request) (int, error) {
	method := r.Method
	if method == "" {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+r.Host+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return 0, err
	}
	for _, h := range r.Headers {
		request.Header.Add(h[0], h[1])
	}
	answer, err := h.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, err
}

// dial connects to a host of a cluster, one that is healthy if there is any;
// over TLS protocol is offered.
func (c collectors) dial(ctx context.Context, name, protocol string) (net.Conn, error) {
	status, err := c.s.clusters.Status(ctx)
	if err != nil {
		return nil, err
	}
	for _, st := range status {
		if st.Info.Name != name {
			continue
		}
		var healthy, all []*cluster.Host
		for _, h := range st.Hosts {
			all = append(all, h.Host)
			if h.Usability() == cluster.Healthy {
				healthy = append(healthy, h.Host)
			}
		}
		if len(healthy) == 0 {
			healthy = all
		}
		if len(healthy) == 0 {
			return nil, fmt.Errorf("cluster %q has no host", name)
		}
		h := healthy[rand.IntN(len(healthy))]
		return connect(ctx, h.Current(), st.Info, protocol)
	}
	return nil, errors.New("there is no cluster " + name)
}

// connect connects to a host, by its cluster's transport socket.
func connect(ctx context.Context, to network.Address, info *cluster.Info, protocol string) (net.Conn, error) {
	d := net.Dialer{Timeout: info.ConnectTimeout}
	kind, addr := "tcp", to.String()
	if to.IsPipe() {
		kind, addr = "unix", to.Path
	}
	conn, err := d.DialContext(ctx, kind, addr)
	if err != nil || info.Transport == nil {
		return conn, err
	}
	config := secured(info.Transport, protocol)
	if config == nil {
		conn.Close()
		return nil, fmt.Errorf("cluster %q: its transport socket is not for telemetry, or lacks its secrets", info.Name)
	}
	client := cryptotls.Client(conn, config)
	if err := client.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}
