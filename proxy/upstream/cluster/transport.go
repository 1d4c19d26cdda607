package cluster

import (
	"net/netip"

	"github.com/weirproxy/weir/proxy/network"
)

// Transport makes the transport sockets of a cluster's connections. Workers
// call it.
type Transport interface {
	// Socket makes the socket of a connection to h that loop l starts; nil
	// is a plain one.
	Socket(l *network.Loop, h *Host, o TransportOptions) network.TransportSocket
}

// TransportOptions are what one connection asks of its transport socket,
// beyond what its cluster is configured with. Connections are shared by those
// who ask for the same. Lists are joined by commas.
type TransportOptions struct {
	ServerName string // the SNI to send
	SANs       string // what the peer's certificate must be for, one of them
	Protocols  string // application protocols, instead of the configured ones
	// Source and Destination are the downstream connection's addresses, and
	// TLVs its further PROXY protocol values as in a header of version 2;
	// unset where nothing sends them on.
	Source, Destination netip.AddrPort
	TLVs                string
	// From is the address that the connection is to come from.
	From network.Source
	// Fallback are the protocols to ask for when none are configured.
	Fallback string
}

// With is o, or none if that is nil, with the fallback protocols of a pool.
func (o *TransportOptions) With(fallback string) TransportOptions {
	if o == nil {
		return TransportOptions{Fallback: fallback}
	}
	with := *o
	with.Fallback = fallback
	return with
}
