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

// Conditional is a Transport that encrypts the connections to some hosts only.
// Others encrypt all.
type Conditional interface {
	Secure(h *Host) bool
}

// Secure tells whether connections to h are encrypted by t, which is nil for
// plain ones.
func Secure(t Transport, h *Host) bool {
	if c, ok := t.(Conditional); ok {
		return c.Secure(h)
	}
	return t != nil
}

// Bringer is a Transport that has connections to internal listeners begin with
// something.
type Bringer interface {
	// Brings is what a connection to h brings; nil for nothing.
	Brings(l *network.Loop, h *Host, o TransportOptions) *network.Brought
}

// Brings is what a connection to h over t brings, which is nil for plain ones.
func Brings(t Transport, l *network.Loop, h *Host, o TransportOptions) *network.Brought {
	if b, ok := t.(Bringer); ok {
		return b.Brings(l, h, o)
	}
	return nil
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
	// Shared are the objects of the downstream's filter state that internal
	// connections get, by network.EncodeShared, where they can.
	Shared string
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
