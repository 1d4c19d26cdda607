package network

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Datagram is a datagram that was received. Its bytes are valid until the next
// Receive.
type Datagram struct {
	Data []byte
	Peer netip.AddrPort
	// Local is where it was sent to, of a socket that BindUDP made; it has no
	// port.
	Local netip.Addr
}

// Datagrams receives and sends datagrams in batches, one system call for
// each. One of them serves all sockets of a loop.
type Datagrams struct {
	in  *datagramsIn // made for the first Receive
	out datagramsOut
}

// batch is how many datagrams one system call moves.
const batch = 32

// groBatch is the same for sockets whose datagrams the kernel joins: each of
// its slots has room for the most that it joins.
const (
	groBatch = 4
	groSize  = 64 << 10
)

// mmsghdr is struct mmsghdr of <sys/socket.h>.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

type datagramsIn struct {
	hdrs    [batch]mmsghdr
	iovs    [batch]unix.Iovec
	names   [batch]rawSockaddr
	control [batch][96]byte
	mem     []byte
	found   []Datagram
}

// Receive takes what has come to s, up to a bound: dropped are those that were
// too long or that the kernel had no room for. more tells that there may be others. The error is
// that of the system call, but not EAGAIN.
func (d *Datagrams) Receive(s *UDPSocket) (got []Datagram, dropped int, more bool, errno syscall.Errno) {
	if d.in == nil {
		d.in = &datagramsIn{mem: make([]byte, groBatch*groSize)}
	}
	return d.in.receive(s)
}

func (d *datagramsIn) receive(s *UDPSocket) (got []Datagram, dropped int, more bool, errno syscall.Errno) {
	slot, n := s.limit(), batch
	if s.gro {
		slot, n = groSize, groBatch
	}
	n = min(n, max(len(d.mem)/slot, 1))
	if len(d.mem) < slot {
		d.mem = make([]byte, slot)
	}
	for i := range n {
		d.prepare(i, d.mem[i*slot:(i+1)*slot])
	}
	k, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.FD), uintptr(unsafe.Pointer(&d.hdrs)), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno == unix.EAGAIN {
		return nil, 0, false, 0
	}
	if errno != 0 {
		return nil, 0, true, errno
	}
	d.found = d.found[:0]
	for i := range int(k) {
		dropped += d.take(i, d.mem[i*slot:], s)
	}
	return d.found, dropped, int(k) == n, 0
}

func (d *datagramsIn) prepare(i int, mem []byte) {
	d.iovs[i].Base = &mem[0]
	d.iovs[i].SetLen(len(mem))
	h := &d.hdrs[i].hdr
	h.Name, h.Namelen = &d.names[i].mem[0], uint32(len(d.names[i].mem))
	h.Iov, h.Control, h.Flags = &d.iovs[i], &d.control[i][0], 0
	h.SetIovlen(1)
	h.SetControllen(len(d.control[i]))
}

// take notes the datagrams that message i is made of, and returns how many
// were dropped.
func (d *datagramsIn) take(i int, mem []byte, s *UDPSocket) (dropped int) {
	h := &d.hdrs[i].hdr
	c := readControl(d.control[i][:h.Controllen])
	if c.overflowed > s.overflowed {
		dropped = int(c.overflowed - s.overflowed)
	}
	s.overflowed = max(s.overflowed, c.overflowed)
	if h.Flags&unix.MSG_TRUNC != 0 {
		return dropped + 1
	}
	data := mem[:d.hdrs[i].n]
	dg := Datagram{Peer: d.names[i].address().AddrPort, Local: c.local}
	limit, segment := s.limit(), c.segment
	if segment <= 0 {
		segment = max(len(data), 1)
	}
	for first := true; first || len(data) > 0; first = false {
		n := min(segment, len(data))
		if dg.Data = data[:n:n]; n > limit {
			dropped++
		} else {
			d.found = append(d.found, dg)
		}
		data = data[n:]
	}
	return dropped
}

// control is what the kernel says of a datagram.
type control struct {
	local      netip.Addr // where it was sent to
	segment    int        // the size of each of the datagrams that it has joined
	overflowed uint32     // how many it had no room for, since the socket was made
}

func readControl(b []byte) (c control) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(b) {
			break
		}
		data := b[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// ifindex, then the address to answer from, then the header's
			// destination, which differs for broadcasts.
			c.local = netip.AddrFrom4([4]byte(data[8:12]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			c.local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			c.segment = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			c.overflowed = binary.NativeEndian.Uint32(data)
		}
		b = b[min(unix.CmsgSpace(n-unix.SizeofCmsghdr), len(b)):]
	}
	return c
}
