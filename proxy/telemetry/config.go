package telemetry

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

// Clients makes clients of what configurations name. Clusters need not exist
// yet: a call to one that doesn't fails.
type Clients interface {
	// GRPC is the server of a GrpcService at p.
	GRPC(p field.Path, m *corev3.GrpcService) (GRPC, error)
	// HTTP is the server behind a cluster.
	HTTP(cluster string) HTTP
	// Node is what the proxy says of itself.
	Node() *corev3.Node
}
