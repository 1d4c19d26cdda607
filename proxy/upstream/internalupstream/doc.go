// Package internalupstream is the transport socket
// envoy.transport_sockets.internal_upstream: connections to internal listeners
// begin with metadata of the host or the cluster, and with the filter state that
// the downstream shares (FilterStateValue.shared_with_upstream). The bytes it
// leaves to the transport socket inside. Clusters make it by [New].
package internalupstream
