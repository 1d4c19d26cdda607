package dnsproxy

import (
	"fmt"
	"net/netip"
	"os"
	"sync"

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
// Its methods may be called from any goroutine.
type Servers struct {
	mu    sync.RWMutex
	page  []byte
	table []byte // the pod's part of it; nil once it is closed
}

// OpenServers maps the pod's part of the table that fd is, which stays the
// caller's. slot is the pod's place in it.
func OpenServers(fd int, slot uint32) (*Servers, error) {
	page, table, err := mapServers(fd, slot)
	if err != nil {
		return nil, err
	}
	return &Servers{page: page, table: table}, nil
}

// Move is for a table that has been copied elsewhere, as [OpenServers].
func (s *Servers) Move(fd int, slot uint32) error {
	page, table, err := mapServers(fd, slot)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.page == nil { // closed meanwhile
		return unix.Munmap(page)
	}
	old := s.page
	s.page, s.table = page, table
	return unix.Munmap(old)
}

func mapServers(fd int, slot uint32) (page, table []byte, err error) {
	if slot >= maxPods {
		return nil, nil, fmt.Errorf("slot %d of weir_dns_servers; it has %d", slot, maxPods)
	}
	at, size := int64(slot)*podSize, int64(os.Getpagesize())
	page, err = unix.Mmap(fd, at/size*size, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap weir_dns_servers", err)
	}
	in := at % size
	return page, page[in : in+podSize], nil
}

// Close unmaps the table.
func (s *Servers) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.page
	s.page, s.table = nil, nil
	return unix.Munmap(page)
}

// Of is the server behind an alias; false if the pod has asked none by it.
func (s *Servers) Of(alias netip.Addr) (netip.Addr, bool) {
	n, ok := aliasNumber(alias)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !ok || s.table == nil {
		return netip.Addr{}, false
	}
	at := (n - 1) * addrSize
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
