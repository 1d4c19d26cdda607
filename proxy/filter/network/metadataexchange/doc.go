// Package metadataexchange is Istio's network filter
// envoy.filters.network.metadata_exchange: over connections whose ALPN is
// Istio's own, each side's first bytes tell the other which workload it stands
// for. What comes is kept in the connection's filter state, as
// "downstream_peer" or "upstream_peer", for logs.
//
// On the wire it is a magic number and a length, four bytes each, then a
// google.protobuf.Any with a Struct of the node's id and metadata. Istio has no
// document of it; its source is github.com/istio/proxy. Discovery of workloads
// by Istio's own xDS is allowed in the configuration and finds nobody, as in
// Istio's proxy without that extension.
//
// Listeners make the filter by [New], clusters by [NewUpstream].
package metadataexchange
