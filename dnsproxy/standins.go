package dnsproxy

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"sync"
)

// StandIns4 and StandIns6 are where the addresses come from that stand for
// hosts of the mesh that have none: no network has them (RFC 1112, 4: class E;
// RFC 4193).
var (
	StandIns4 = netip.MustParsePrefix("240.240.0.0/16")
	StandIns6 = netip.MustParsePrefix("fd77:6569:7200:240::/64")
)

// IsStandIn reports whether an address stands for a host of the mesh: nothing
// can be reached there.
func IsStandIn(a netip.Addr) bool { return StandIns4.Contains(a) || StandIns6.Contains(a) }

// standIns says which address stands for which host. A host's address follows
// from its name, so that it is the same after a restart, unless two hosts fall
// on one: then the later one gets the next that is free.
type standIns struct {
	mu     sync.Mutex
	byName map[string]uint16
	names  map[uint16]string
}

// probes is how many places are tried; when all are taken, the first is given
// away. It bounds what a pod can do that makes up names of *.example.com.
const probes = 8

// of is the host's IPv4 and IPv6 address.
func (s *standIns) of(name string) (netip.Addr, netip.Addr) {
	n := s.number(name)
	four, six := StandIns4.Addr().As4(), StandIns6.Addr().As16()
	binary.BigEndian.PutUint16(four[2:], n)
	binary.BigEndian.PutUint16(six[14:], n)
	return netip.AddrFrom4(four), netip.AddrFrom16(six)
}

func (s *standIns) number(name string) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.byName[name]; ok {
		return n
	}
	if s.byName == nil {
		s.byName, s.names = map[string]uint16{}, map[uint16]string{}
	}
	n := first(name)
	for i := range uint16(probes) {
		if try := next(n, i); s.names[try] == "" {
			n = try
			break
		}
	}
	delete(s.byName, s.names[n])
	s.byName[name], s.names[n] = n, name
	return n
}

// hostNumbers are those without the network's and the broadcast address.
const hostNumbers = 1<<16 - 2

func first(name string) uint16 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return uint16(h.Sum64()%hostNumbers) + 1
}

func next(n, i uint16) uint16 { return uint16((uint32(n)-1+uint32(i))%hostNumbers) + 1 }
