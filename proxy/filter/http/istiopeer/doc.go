// Package istiopeer is Istio's HTTP filter istio.peer_metadata: proxies tell
// each other which workload they stand for, by the headers
// x-envoy-peer-metadata-id (the node) and x-envoy-peer-metadata (its metadata,
// a protobuf Struct in base64). What a peer tells is taken off the message and
// kept in the filter state as "downstream_peer" or "upstream_peer", for logs.
//
// Discovery of workloads by Istio's own xDS is allowed in the configuration
// and finds nobody, as in Istio's proxy without that extension. The connection
// manager makes filters by [Maker].
package istiopeer
