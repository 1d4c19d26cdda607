// Package proxyprotocol is the transport socket
// envoy.transport_sockets.upstream_proxy_protocol: each connection begins with
// a PROXY protocol header (version 1 or 2) that tells the server who the
// downstream client is, and goes on with the transport socket inside.
// Clusters make it by [New].
package proxyprotocol
