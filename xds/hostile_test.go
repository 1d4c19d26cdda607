package xds_test

import (
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/xds"
)

// scripted is a management server that does what the test says.
type scripted struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	stream func(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error
}

func (s *scripted) StreamAggregatedResources(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.stream(st)
}

func script(t *testing.T, stream func(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, &scripted{stream: stream})
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return l.Addr().String()
}

// Each bad response must be answered by a NACK that says why, and the good one
// after it be taken.
func TestBadResponses(t *testing.T) {
	l := pack(t, listener("l", 1))
	good := &discoveryv3.DiscoveryResponse{VersionInfo: "good", Nonce: "2", TypeUrl: xds.ListenerType, Resources: []*anypb.Any{l}}
	for name, tc := range map[string]struct {
		resources []*anypb.Any
		want      string
		part      int // updates that came before the good one
	}{
		"not a protobuf":   {[]*anypb.Any{{TypeUrl: xds.ListenerType, Value: []byte("\xff\xff garbage")}}, "resources[0]: proto", 0},
		"another type":     {[]*anypb.Any{pack(t, cluster("c"))}, `resources[0]: type "` + xds.ClusterType + `" in a response for "` + xds.ListenerType + `"`, 0},
		"no type":          {[]*anypb.Any{{}}, `resources[0]: type "" in a response for`, 0},
		"no name":          {[]*anypb.Any{pack(t, &listenerv3.Listener{})}, "resources[0]: the resource has no name", 0},
		"duplicate":        {[]*anypb.Any{l, l}, "l: duplicate Listener in the response", 1},
		"two bad ones":     {[]*anypb.Any{{}, l, l}, "resources[0]: type \"\" in a response for \"" + xds.ListenerType + "\"", 0},
		"a broken wrapper": {[]*anypb.Any{{TypeUrl: "type.googleapis.com/envoy.service.discovery.v3.Resource", Value: []byte{1}}}, "resources[0]: proto", 0},
		"a time to live":   {[]*anypb.Any{pack(t, &discoveryv3.Resource{Name: "w", Resource: l, Ttl: seconds(1)})}, `w: weir does not support ttl of`, 0},
		"an empty wrapper": {[]*anypb.Any{pack(t, &discoveryv3.Resource{Name: "w"})}, `w: type "" in a response for`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			nack := make(chan *discoveryv3.DiscoveryRequest, 1)
			addr := script(t, func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
				if _, err := st.Recv(); err != nil {
					return err
				}
				// A type that nobody subscribed to is ignored.
				st.Send(&discoveryv3.DiscoveryResponse{VersionInfo: "x", Nonce: "0", TypeUrl: "a/b.C"})
				st.Send(&discoveryv3.DiscoveryResponse{VersionInfo: "bad", Nonce: "1", TypeUrl: xds.ListenerType, Resources: tc.resources})
				r, err := st.Recv()
				if err != nil {
					return err
				}
				nack <- r
				st.Send(good)
				<-st.Context().Done()
				return nil
			})
			m := newMain(t)
			w := subscribe(t, newClient(t, m, bootstrapFor(addr)), adsSource(), xds.ListenerType)
			m.until("the good response", w.is("good", "l"))
			r := <-nack
			if r.VersionInfo != "" || r.ResponseNonce != "1" || !strings.HasPrefix(r.ErrorDetail.GetMessage(), tc.want) {
				t.Errorf("NACK %v\nwant %s", r, tc.want)
			}
			if w.updates != 1+tc.part || len(w.failures) != 1 {
				t.Errorf("%d updates, failures %v", w.updates, w.failures)
			}
		})
	}
}

// The second NACK in a row is held back. A good response that comes meanwhile
// is acknowledged, not refused in the other's stead.
func TestGoodResponseAfterNackThatWaits(t *testing.T) {
	bad := func(nonce string) *discoveryv3.DiscoveryResponse {
		return &discoveryv3.DiscoveryResponse{VersionInfo: "bad", Nonce: nonce, TypeUrl: xds.ListenerType, Resources: []*anypb.Any{{}}}
	}
	m := newMain(t)
	last := make(chan *discoveryv3.DiscoveryRequest, 1)
	addr := script(t, func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
		st.Send(bad("1"))
		st.Send(bad("2"))
		st.Send(&discoveryv3.DiscoveryResponse{VersionInfo: "good", Nonce: "3", TypeUrl: xds.ListenerType, Resources: []*anypb.Any{pack(t, listener("l", 1))}})
		for {
			r, err := st.Recv()
			if err != nil {
				return err
			}
			if r.ResponseNonce == "3" {
				last <- r
				m.post(func() {}) // has main look
			}
		}
	})
	w := subscribe(t, newClient(t, m, bootstrapFor(addr)), adsSource(), xds.ListenerType)
	m.until("the good response", w.is("good", "l"))
	m.until("the answer to it", func() bool { return len(last) > 0 })
	r := <-last
	if r.ErrorDetail != nil || r.VersionInfo != "good" {
		t.Errorf("answered by %v", r)
	}
}

// A wrapped resource has a name and version of its own.
func TestWrappedResource(t *testing.T) {
	addr := script(t, func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
		st.Send(&discoveryv3.DiscoveryResponse{VersionInfo: "1", Nonce: "1", TypeUrl: xds.ListenerType,
			Resources: []*anypb.Any{pack(t, &discoveryv3.Resource{Name: "l", Version: "7", Resource: pack(t, listener("l", 1))})}})
		<-st.Context().Done()
		return nil
	})
	m := newMain(t)
	w := subscribe(t, newClient(t, m, bootstrapFor(addr)), adsSource(), xds.ListenerType)
	m.until("the listener", w.is("1", "l"))
	if v := w.now["l"].Version; v != "7" {
		t.Errorf("version %q", v)
	}
}

// A server that answers and hangs up, or only hangs up, is not asked in a loop.
func TestFlappingServer(t *testing.T) {
	opened := make(chan struct{}, 1000)
	addr := script(t, func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
		opened <- struct{}{}
		return st.Send(&discoveryv3.DiscoveryResponse{VersionInfo: "1", Nonce: "1", TypeUrl: xds.ListenerType,
			Resources: []*anypb.Any{pack(t, listener("l", 1))}})
	})
	m := newMain(t)
	w := subscribe(t, newClient(t, m, bootstrapFor(addr)), adsSource(), xds.ListenerType)
	m.until("a second stream", func() bool { return len(opened) >= 2 })
	m.idle(300 * time.Millisecond)
	if n := len(opened); n > 3 {
		t.Errorf("%d streams", n)
	}
	if w.updates == 0 {
		t.Error("what came before the end was not taken")
	}
}

// A server that sends without reading is no longer read from when too many
// answers to it wait: the queue is bounded.
func TestServerThatDoesNotRead(t *testing.T) {
	var sent atomic.Int64
	const enough = 100_000
	addr := script(t, func(st discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
		// Good and bad in turn: every NACK must be kept.
		r := &discoveryv3.DiscoveryResponse{Nonce: strings.Repeat("n", 1000), TypeUrl: xds.ListenerType}
		for sent.Load() < enough {
			if r.Resources = nil; sent.Add(1)%2 == 0 {
				r.Resources = []*anypb.Any{{}}
			}
			if err := st.Send(r); err != nil {
				return err
			}
		}
		return nil
	})
	m := newMain(t)
	c, err := xds.New(xds.Options{Bootstrap: bootstrapFor(addr), Post: m.post, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := subscribe(t, c, adsSource(), xds.ListenerType)
	m.until("updates", func() bool { return w.updates > 50 })
	for before := -1; before != w.updates; { // until it stands still
		before = w.updates
		m.idle(200 * time.Millisecond)
	}
	if n := sent.Load(); n >= enough {
		t.Errorf("all %d responses were read, %d updates", n, w.updates)
	}
	if w.updates > 10_000 {
		t.Errorf("%d updates before the client stopped reading", w.updates)
	}
}

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
