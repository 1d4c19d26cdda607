// Package originalsrc is the listener filter envoy.filters.listener.original_src:
// upstream connections that are made for a connection come from its client's
// address instead of the proxy's.
//
// What comes in: an accepted socket, whose remote address an earlier filter
// (proxy_protocol) may have restored. What goes out: network.Info.UpstreamSource,
// by which package upstream binds sockets, with IP_TRANSPARENT and a mark, and
// keeps pools apart. Listeners make it by [New].
//
// The contract that bites: the kernel needs CAP_NET_ADMIN for it, and routes
// that bring the answers back here: they are sent to the client's address.
package originalsrc
