// Package rbac is the network filter envoy.filters.network.rbac: it closes
// connections that its rules do not allow.
//
// The rules are compiled and checked by package proxy/rbac at the first byte,
// when a TLS handshake is over and the peer known, or at every read. Listeners
// make it by [New].
package rbac
