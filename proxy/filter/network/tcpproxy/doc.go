// Package tcpproxy is the network filter envoy.filters.network.tcp_proxy: it
// carries a connection's bytes to a host of a cluster and back.
//
// What comes in: a downstream connection, from its listener. What goes out:
// one upstream connection for it, from the worker's cluster table, or a
// request in whose body it is carried (tunneling_config), and a line in the
// access log when both are gone.
//
// Downstream is not read before the upstream stands, unless early data may be
// kept (max_early_data_bytes). From then on
// each side's bytes go to the other side's output; when that is full, the one
// that produces is not read. The end of either direction is passed on by
// itself (half close); a reset or failure of one connection ends the other.
// Where nobody looks at the bytes they stay in the kernel (splice).
package tcpproxy
