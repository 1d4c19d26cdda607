package cluster

import "github.com/weirproxy/weir/proxy/network"

// Transport makes the transport sockets of a cluster's connections. Workers
// call it.
type Transport interface {
	// Socket makes the socket of a connection to h that loop l starts; nil
	// is a plain one.
	Socket(l *network.Loop, h *Host, o *TransportOptions) network.TransportSocket
}

// TransportOptions are what one connection asks of its transport socket,
// beyond what its cluster is configured with.
type TransportOptions struct {
	ServerName string   // the SNI to send
	SANs       []string // what the peer's certificate must be for, one of them
	Protocols  []string // application protocols, instead of the configured ones
	// Fallback are the protocols to ask for when none are configured.
	Fallback []string
}
