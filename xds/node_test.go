package xds_test

import (
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// What changes of the node is told with the next request, also to a server
// that is told of the node only once.
func TestSetNodeMetadata(t *testing.T) {
	for name, once := range map[string]bool{"every request": false, "first request only": true} {
		t.Run(name, func(t *testing.T) {
			m := newMain(t)
			s := newServer(t, m, true)
			s.set(cluster("a"))
			b := bootstrapFor(s.addr)
			b.DynamicResources.AdsConfig.SetNodeOnFirstMessageOnly = once
			c := newClient(t, m, b)
			before := c.Node()
			subscribe(t, c, adsSource(), resource.ClusterType)
			s.ack(resource.ClusterType, "1")
			c.SetNodeMetadata("weir.pods", structpb.NewStringValue("web"))
			if before.GetMetadata() != nil {
				t.Error("the node was changed under those who have it")
			}
			s.set(cluster("a"), cluster("b"))
			s.ack(resource.ClusterType, "2")
			node := s.last(resource.ClusterType).Node
			if got := node.GetMetadata().GetFields()["weir.pods"].GetStringValue(); got != "web" || node.GetId() != "node" {
				t.Errorf("node %v", node)
			}
		})
	}
}
