// Package match picks the filter chain of a new connection: Envoy's
// FilterChainMatch, compiled.
//
// What comes in: the chains' match criteria ([Compile], from the protos) on
// main; the facts of one connection ([Input]) on a worker. What goes out: the
// index of a chain, or -1. The listener package calls both.
//
// A [Table] is a tree with a level for each criterion: destination port,
// destination address, server name, transport protocol, application protocol,
// direct source address, source type, source address, source port. On each
// level the most specific entry is taken and the search never comes back to
// it.
//
// The contract that bites: because nothing is tried twice, a chain that fits
// can be missed. A connection to port 80 that fits no chain naming port 80
// does not fall back to chains that name no port. This is Envoy's behaviour,
// and configurations depend on it.
package match
