// Package udpproxy is the UDP listener filter
// envoy.filters.udp_listener.udp_proxy: it passes datagrams to the hosts of
// clusters, and answers back.
//
// What comes in: the datagrams of a UDP listener's socket on one worker. What
// goes out: the same datagrams, from a socket for each session, and their
// answers from the listener's socket.
//
// A session is what one client sends to one address: it has a host, a
// connected socket of its own and an idle timeout. With
// use_per_packet_load_balancing a host is chosen for each datagram, and there
// is a session for each host that was. Sessions count as connections in the
// cluster's circuit breakers.
//
// The contract that bites: datagrams lie in memory that the loop shares, until
// Flush; nothing here keeps one. What can't be sent at once is lost, as UDP
// allows.
package udpproxy
