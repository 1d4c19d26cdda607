package server

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/pods"
)

// podsKey is where the metadata of the xDS node has the node's pods: a list of
// {namespace, name, service_account, labels}.
const podsKey = "weir.pods"

// tellDelay is how long changes are collected: a node begins with hundreds.
const tellDelay = 50 * time.Millisecond

// tellServers tells the management servers of the pods, with the next request.
func (n *node) tellServers() {
	if n.tell == nil {
		n.tell = n.s.loops[0].NewTimer(func() { n.s.xds.SetNodeMetadata(podsKey, nodeMetadata(n.pods.Identities())) })
	}
	if !n.tell.Enabled() {
		n.tell.Enable(tellDelay)
	}
}

func nodeMetadata(identities map[uint32]*pods.Identity) *structpb.Value {
	list := &structpb.ListValue{}
	for _, id := range slices.Sorted(maps.Keys(identities)) {
		i := identities[id]
		pod := map[string]*structpb.Value{
			"namespace": structpb.NewStringValue(i.Namespace), "name": structpb.NewStringValue(i.Name),
		}
		if i.ServiceAccount != "" {
			pod["service_account"] = structpb.NewStringValue(i.ServiceAccount)
		}
		if len(i.Labels) > 0 {
			labels := &structpb.Struct{Fields: map[string]*structpb.Value{}}
			for name, value := range i.Labels {
				labels.Fields[name] = structpb.NewStringValue(value)
			}
			pod["labels"] = structpb.NewStructValue(labels)
		}
		list.Values = append(list.Values, structpb.NewStructValue(&structpb.Struct{Fields: pod}))
	}
	return structpb.NewListValue(list)
}
