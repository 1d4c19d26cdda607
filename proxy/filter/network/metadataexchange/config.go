package metadataexchange

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	exchange "istio.io/api/envoy/config/filter/network/metadata_exchange"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/istio"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration, which may come in a
// TypedStruct.
const TypeURL = "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange"

// Node is what the bootstrap says of the proxy itself.
type Node struct {
	ID       string
	Metadata map[string]any
}

// Factory makes a listener.NetworkFactory: the peer is the client.
func Factory(n Node) listener.NetworkFactory {
	return func(p field.Path, config *anypb.Any, ctx *listener.FactoryContext) (network.FilterFactory, error) {
		s, err := compile(p, config, n, ctx.Stats)
		if err != nil {
			return nil, err
		}
		ctx.OnClose(s.group.Close)
		s.key = "downstream_peer"
		return s.newFilter, nil
	}
}

// UpstreamFactory makes an upstream.NetworkFactory: the peer is the server.
func UpstreamFactory(n Node) upstream.NetworkFactory {
	return func(p field.Path, config *anypb.Any, ctx *upstream.TransportContext) (network.FilterFactory, error) {
		s, err := compile(p, config, n, ctx.Stats)
		if err != nil {
			return nil, err
		}
		ctx.OnClose(s.group.Close)
		s.key = "upstream_peer"
		return s.newFilter, nil
	}
}

func compile(p field.Path, config *anypb.Any, n Node, store *stats.Store) (*settings, error) {
	s := &settings{group: stats.NewGroup[exchangeStats](store, stats.Scope{Prefix: "metadata_exchange."})}
	var labels []string
	var err error
	if s.protocol, labels, err = fields(p, config); err == nil {
		s.tell, err = announce(n, labels)
	}
	if err != nil {
		s.group.Close()
		return nil, err
	}
	return s, nil
}

// fields reads a configuration. Istio's newest have a field that its published
// protobuf lacks, in a TypedStruct.
func fields(p field.Path, config *anypb.Any) (protocol string, labels []string, err error) {
	m := &exchange.MetadataExchange{}
	if config.MessageIs(m) {
		err = protos.Unpack(p, config, m)
		return m.GetProtocol(), nil, err
	}
	all, err := protos.Fields(p, config)
	if err != nil {
		return "", nil, err
	}
	for name, v := range all {
		ok := true
		switch name {
		case "protocol":
			protocol, ok = v.(string)
		case "enable_discovery", "enableDiscovery":
			_, ok = v.(bool)
		case "additional_labels", "additionalLabels":
			var list []any
			list, ok = v.([]any)
			for _, l := range list {
				s, isText := l.(string)
				ok = ok && isText
				labels = append(labels, s)
			}
		default:
			return "", nil, p.Dot(name).Errorf("weir does not support this field of metadata_exchange")
		}
		if !ok {
			return "", nil, p.Dot(name).Errorf("%v is of the wrong type", v)
		}
	}
	return protocol, labels, nil
}

// announce is what the peer is told, as it goes over the wire.
func announce(n Node, labels []string) ([]byte, error) {
	node, err := istio.NodeMetadata(n.Metadata, labels)
	if err != nil {
		return nil, err
	}
	all := &structpb.Struct{Fields: map[string]*structpb.Value{peerKey: structpb.NewStructValue(node)}}
	if n.ID != "" {
		all.Fields[idKey] = structpb.NewStringValue(n.ID)
	}
	deterministic := proto.MarshalOptions{Deterministic: true}
	a := &anypb.Any{}
	if err := anypb.MarshalFrom(a, all, deterministic); err != nil {
		return nil, err
	}
	b, err := deterministic.Marshal(a)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32(nil, magic)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	return append(out, b...), nil
}
