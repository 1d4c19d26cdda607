package match

import (
	"net/netip"
	"strings"
)

// Input is what is known of a connection once its listener filters have run.
type Input struct {
	Destination          netip.AddrPort // invalid for a UNIX socket
	DirectSource         netip.Addr     // the peer of the TCP connection
	Source               netip.AddrPort // the client, as listener filters restored it
	ServerName           string         // lower case; "" when none was asked for
	TransportProtocol    string         // "raw_buffer" or "tls"
	ApplicationProtocols []string       // in the client's order
}

// Table is a set of filter chains by their match criteria. It is immutable
// and shared by the workers.
type Table struct {
	root ports[*prefixes[byServerName]]
}

// The levels of the tree, from the leaves up. In each map the zero key stands
// for chains that do not name the criterion.
type (
	bySourcePort          = ports[int]
	bySourceType          [3]*prefixes[bySourcePort] // any, same IP or loopback, external
	byApplicationProtocol map[string]*prefixes[*bySourceType]
	byTransportProtocol   map[string]byApplicationProtocol
	byServerName          map[string]byTransportProtocol
	ports[T any]          map[uint16]T
)

// Source types, in the order of FilterChainMatch.ConnectionSourceType.
const (
	anySource = iota
	sameIPOrLoopback
	external
)

// Find returns the index of the chain that takes the connection, or -1 when
// none does.
func (t *Table) Find(in *Input) int {
	byAddress := t.root[0]
	if in.Destination.IsValid() {
		if p, ok := t.root[in.Destination.Port()]; ok {
			byAddress = p
		}
	}
	names, ok := byAddress.lookup(orPipe(in.Destination.Addr()))
	if !ok {
		return -1
	}
	transports, ok := findName(names, in.ServerName)
	if !ok {
		return -1
	}
	protocols, ok := transports[in.TransportProtocol]
	if !ok {
		if protocols, ok = transports[""]; !ok {
			return -1
		}
	}
	byDirectSource, ok := findProtocol(protocols, in.ApplicationProtocols)
	if !ok {
		return -1
	}
	types, ok := byDirectSource.lookup(orPipe(in.DirectSource))
	if !ok {
		return -1
	}
	sources := types.find(in)
	byPort, ok := sources.lookup(orPipe(in.Source.Addr()))
	if !ok {
		return -1
	}
	if in.Source.IsValid() {
		if chain, ok := byPort[in.Source.Port()]; ok {
			return chain
		}
	}
	if chain, ok := byPort[0]; ok {
		return chain
	}
	return -1
}

// orPipe gives the peer of a UNIX socket the address that Envoy looks up for
// it: one that only chains without address ranges are meant to take.
func orPipe(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.AddrFrom4([4]byte{127, 255, 255, 255})
	}
	return a
}

// findName looks for the exact name, then for wildcards from the longest
// suffix on ("*.example.com" is stored as ".example.com"), then for chains
// without names.
func findName(names byServerName, name string) (byTransportProtocol, bool) {
	if t, ok := names[name]; ok {
		return t, true
	}
	for i := 1; i < len(name); {
		dot := strings.IndexByte(name[i:], '.')
		if dot < 0 || i+dot >= len(name)-1 {
			break
		}
		i += dot
		if t, ok := names[name[i:]]; ok {
			return t, true
		}
		i++
	}
	t, ok := names[""]
	return t, ok
}

func findProtocol(m byApplicationProtocol, asked []string) (*prefixes[*bySourceType], bool) {
	for _, p := range asked {
		if s, ok := m[p]; ok {
			return s, true
		}
	}
	s, ok := m[""]
	return s, ok
}

func (t *bySourceType) find(in *Input) *prefixes[bySourcePort] {
	local, ext := t[sameIPOrLoopback], t[external]
	if local != nil || ext != nil {
		if isSameIPOrLoopback(in) {
			if local != nil {
				return local
			}
		} else if ext != nil {
			return ext
		}
	}
	return t[anySource]
}

// isSameIPOrLoopback tells whether the client is on this host: Envoy takes
// only the canonical loopback addresses for such.
func isSameIPOrLoopback(in *Input) bool {
	src := in.Source.Addr()
	if !src.IsValid() || src == loopback4 || src == loopback6 {
		return true
	}
	return src == in.Destination.Addr()
}

var loopback4, loopback6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
