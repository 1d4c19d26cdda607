package dnsproxy

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// The layout of weir_dns_servers (bpf/dns.h), which the programs fill: for each
// pod the addresses of the servers that it has asked, 16 bytes each, IPv4 as
// ::ffff:a.b.c.d.
const (
	addrSize      = 16
	serversPerPod = 16
	podSize       = serversPerPod * addrSize
	maxPods       = 4096
)

// aliases4 and aliases6 are the addresses by which a pod's first server is
// known, less one.
var (
	aliases4 = netip.AddrFrom4([4]byte{127, 53, 0, 0}).As4()
	aliases6 = netip.MustParseAddr("fd77:6569:7200:53::").As16()
)

// Servers tells whom a pod asked by the alias that its question was sent to:
// 127.53.0.N or fd77:6569:7200:53::N is the Nth server that the pod ever asked.
type Servers struct{ table []byte }

// OpenServers maps the table; fd stays the caller's.
func OpenServers(fd int) (*Servers, error) {
	table, err := unix.Mmap(fd, 0, maxPods*podSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap weir_dns_servers", err)
	}
	return &Servers{table}, nil
}

// Close unmaps the table.
func (s *Servers) Close() error { return unix.Munmap(s.table) }

// Of is the server behind an alias of the pod that has that slot.
func (s *Servers) Of(slot uint32, alias netip.Addr) (netip.Addr, bool) {
	n, ok := aliasNumber(alias)
	if !ok || slot >= maxPods {
		return netip.Addr{}, false
	}
	at := int(slot)*podSize + (n-1)*addrSize
	addr := netip.AddrFrom16([addrSize]byte(s.table[at : at+addrSize])).Unmap()
	return addr, !addr.IsUnspecified() && addr.Is4() == alias.Is4()
}

// aliasNumber is the N of an alias, from 1.
func aliasNumber(alias netip.Addr) (int, bool) {
	bytes, prefix := alias.AsSlice(), aliases4[:]
	if alias.Is6() {
		prefix = aliases6[:]
	}
	last := len(bytes) - 1
	if last < 0 || string(bytes[:last]) != string(prefix[:last]) {
		return 0, false
	}
	n := int(bytes[last])
	return n, n >= 1 && n <= serversPerPod
}
