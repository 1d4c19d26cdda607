package internalupstream

import (
	internalv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/internal_upstream/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the socket's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"

// New is an upstream.TransportFactory.
func New(p field.Path, config *anypb.Any, ctx *upstream.TransportContext) (cluster.Transport, error) {
	m := &internalv3.InternalUpstreamTransport{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "passthrough_metadata", "transport_socket"); err != nil {
		return nil, err
	}
	t := &transport{}
	for i, s := range m.GetPassthroughMetadata() {
		source, err := compileSource(p.Dot("passthrough_metadata").Index(i), s)
		if err != nil {
			return nil, err
		}
		t.sources = append(t.sources, source)
	}
	var err error
	if t.inner, err = ctx.Transport(p.Dot("transport_socket"), m.GetTransportSocket()); err != nil {
		return nil, err
	}
	t.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "internal_upstream."})
	ctx.OnClose(t.stats.Close)
	ctx.UseSharedState()
	return t, nil
}

func compileSource(p field.Path, m *internalv3.InternalUpstreamTransport_MetadataValueSource) (source, error) {
	s := source{namespace: m.GetName()}
	if err := field.Only(p, m, "kind", "name"); err != nil {
		return s, err
	}
	switch m.GetKind().GetKind().(type) {
	case *metadatav3.MetadataKind_Host_:
	case *metadatav3.MetadataKind_Cluster_:
		s.ofCluster = true
	default:
		return s, p.Dot("kind").Errorf("metadata type is not supported: %v", m.GetKind())
	}
	return s, nil
}
