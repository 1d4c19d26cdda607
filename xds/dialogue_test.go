package xds_test

import (
	"errors"
	"net"
	"testing"

	loadv3 "github.com/envoyproxy/go-control-plane/envoy/service/load_stats/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/xds"
)

type loads struct {
	loadv3.UnimplementedLoadReportingServiceServer
	streams chan int // messages on each stream, as it ends
}

// StreamLoadStats ends each stream after its second message.
func (l *loads) StreamLoadStats(s loadv3.LoadReportingService_StreamLoadStatsServer) error {
	for n := 1; ; n++ {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		if n == 2 {
			l.streams <- n
			return errors.New("enough")
		}
		if err := s.Send(&loadv3.LoadStatsResponse{Clusters: []string{m.Node.GetId()}}); err != nil {
			return err
		}
	}
}

// TestDialogue answers the server's answer, and again on the next stream.
func TestDialogue(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &loads{streams: make(chan int, 10)}
	g := grpc.NewServer()
	loadv3.RegisterLoadReportingServiceServer(g, server)
	go g.Serve(l)
	t.Cleanup(g.Stop)

	main := newMain(t)
	b := bootstrapFor(l.Addr().String())
	c, err := xds.New(xds.Options{Bootstrap: b, Post: main.post})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var to xds.Sender
	said, lost := 0, 0
	api := b.GetDynamicResources().GetAdsConfig()
	end, err := c.Converse(api, xds.Dialogue{
		Path: "p", Method: "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats",
		NewMessage: func() proto.Message { return &loadv3.LoadStatsResponse{} },
		Opened: func(s xds.Sender) {
			to = s
			to.Send(&loadv3.LoadStatsRequest{Node: &corev3.Node{Id: "me"}})
		},
		Received: func(m proto.Message) {
			if got := m.(*loadv3.LoadStatsResponse).Clusters; len(got) == 1 && got[0] == "me" {
				said++
			}
			to.Send(&loadv3.LoadStatsRequest{})
		},
		Lost: func(error) { lost++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	main.until("two streams have ended", func() bool { return lost >= 2 })
	if said != lost {
		t.Errorf("%d answers on %d streams", said, lost)
	}
	end()
	if err := c.CheckDialogue("p", &corev3.ApiConfigSource{ApiType: corev3.ApiConfigSource_DELTA_GRPC, GrpcServices: api.GrpcServices}); err == nil {
		t.Error("the delta protocol is for resources")
	}
}
