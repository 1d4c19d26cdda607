// Package dnsfilter is envoy.filters.udp.dns_filter, as far as weir has it: its
// table gives the pods of a node the addresses of names (package dnsproxy).
//
// In: the configuration of a listener that has no socket of its own; the
// sockets are the agent's, in the pods. Out: a [Table], for proxy/server, as
// long as a listener has it. Queries for other names go to the server that the
// pod asks, not to resolvers of the filter's.
package dnsfilter
