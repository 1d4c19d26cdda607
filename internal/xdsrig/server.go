package xdsrig

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
)

// Server is a control plane for one node. Its methods may be called from any
// goroutine.
type Server struct {
	node  string
	addr  *net.TCPAddr
	grpc  *grpc.Server
	cache cachev3.SnapshotCache

	mu      sync.Mutex
	types   map[string]*resources // what is served, by type URL
	answers map[string]answer     // the node's last, by type URL
	changed chan struct{}         // closed and renewed when there is an answer
}

// answer is an ACK, or a NACK if rejected says why.
type answer struct {
	version  string
	rejected string
}

// New serves the node with that ID, nothing at first.
func New(node string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		node: node, addr: l.Addr().(*net.TCPAddr), grpc: grpc.NewServer(),
		cache: cachev3.NewSnapshotCache(false, cachev3.IDHash{}, nil),
		types: map[string]*resources{}, answers: map[string]answer{}, changed: make(chan struct{}),
	}
	x := serverv3.NewServer(context.Background(), s.cache, serverv3.CallbackFuncs{StreamRequestFunc: s.heard})
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s.grpc, x)
	listenerservice.RegisterListenerDiscoveryServiceServer(s.grpc, x)
	clusterservice.RegisterClusterDiscoveryServiceServer(s.grpc, x)
	routeservice.RegisterRouteDiscoveryServiceServer(s.grpc, x)
	endpointservice.RegisterEndpointDiscoveryServiceServer(s.grpc, x)
	go s.grpc.Serve(l) // until Close
	return s, nil
}

// Port is where it listens, on 127.0.0.1.
func (s *Server) Port() int { return s.addr.Port }

// Close ends the server and its streams.
func (s *Server) Close() { s.grpc.Stop() }

// heard is called with each request; those with a nonce answer a response.
func (s *Server) heard(_ int64, r *discoveryv3.DiscoveryRequest) error {
	if r.ResponseNonce == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[r.TypeUrl] = answer{r.VersionInfo, r.ErrorDetail.GetMessage()}
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// WaitAccepted waits until the node has accepted all that is served now. A
// rejection is an error.
func (s *Server) WaitAccepted(ctx context.Context) error {
	for {
		done, changed, err := s.accepted()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the node has not accepted its configuration: %w", ctx.Err())
		}
	}
}

func (s *Server) accepted() (done bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done = true
	for url, r := range s.types {
		a := s.answers[url]
		if a.rejected != "" {
			return false, nil, fmt.Errorf("the node rejects its configuration: %s", a.rejected)
		}
		if a.version != strconv.Itoa(r.version) {
			done = false
		}
	}
	return done, s.changed, nil
}
