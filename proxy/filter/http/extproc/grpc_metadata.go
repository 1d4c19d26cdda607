package extproc

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/grpc/authz"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// metadataContext is the metadata that the processor is to know: the cluster's,
// above it the connection's and the stream's.
func (f *filter) metadataContext() *corev3.Metadata {
	info := f.cb.StreamInfo()
	m := authz.Metadata(f.own.forwardCluster, f.clusterMetadata())
	for ns, fields := range authz.Metadata(f.own.forward, info.ConnectionMetadata(), info.Metadata).FilterMetadata {
		if m.FilterMetadata == nil {
			m.FilterMetadata = map[string]*structpb.Struct{}
		}
		m.FilterMetadata[ns] = fields
	}
	authz.AddTyped(m, f.own.forwardTyped, info.TypedMetadata)
	return m
}

// clusterMetadata is that of the cluster that the request goes to.
func (f *filter) clusterMetadata() cluster.Metadata {
	r, ok := f.cb.Route().(interface {
		Cluster(*http.HeaderMap) string
	})
	if !ok {
		return nil
	}
	if c := f.table(f.cb.Worker()).Get(r.Cluster(f.cb.RequestHeaders())); c != nil {
		return c.Info().Metadata
	}
	return nil
}
