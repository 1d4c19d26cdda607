// Package istio is what Istio's proxies tell each other of the workloads that
// they stand for: a part of the node's metadata, [NodeMetadata], of which the
// receiver makes a [Peer].
//
// The HTTP filter istio.peer_metadata tells it in headers, the network filter
// metadata_exchange ahead of a connection's bytes.
package istio
