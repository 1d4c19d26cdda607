package network

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagramsOut is what one sendmmsg is made of.
type datagramsOut struct {
	hdrs    [batch]mmsghdr
	iovs    [batch]unix.Iovec
	name    rawSockaddr
	control [64]byte
	empty   byte // what iovecs of empty datagrams point at
}

// Send sends the datagrams of data from s: to the address to, unless s is
// connected (then to is not valid), and from the address from, if that is
// valid. It returns how many were sent, their bytes, and the error of the last
// one that was not.
func (d *Datagrams) Send(s *UDPSocket, data [][]byte, to netip.AddrPort, from netip.Addr) (sent, size int, last syscall.Errno) {
	o := &d.out
	namelen := o.setName(to, s.v6)
	controllen := o.setControl(from, s.v6)
	for len(data) > 0 {
		n := min(len(data), batch)
		for i, p := range data[:n] {
			o.prepare(i, p, namelen, controllen)
		}
		k, b, errno := o.send(s.FD, n)
		if sent, size = sent+k, size+b; errno != 0 {
			last = errno
		}
		data = data[n:]
	}
	return sent, size, last
}

func (o *datagramsOut) prepare(i int, p []byte, namelen, controllen int) {
	o.iovs[i].Base = &o.empty
	if len(p) > 0 {
		o.iovs[i].Base = &p[0]
	}
	o.iovs[i].SetLen(len(p))
	h := &o.hdrs[i].hdr
	*h = unix.Msghdr{Iov: &o.iovs[i]}
	h.SetIovlen(1)
	if namelen > 0 {
		h.Name, h.Namelen = &o.name.mem[0], uint32(namelen)
	}
	if controllen > 0 {
		h.Control = &o.control[0]
		h.SetControllen(controllen)
	}
}

// send goes on behind a datagram that the kernel refuses.
func (o *datagramsOut) send(fd, n int) (sent, size int, last syscall.Errno) {
	for i := 0; i < n; {
		k, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&o.hdrs[i])), uintptr(n-i), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != 0 {
			last = errno
			i++
			continue
		}
		for ; k > 0; k-- {
			sent, size = sent+1, size+int(o.hdrs[i].n)
			i++
		}
	}
	return sent, size, last
}

// setName writes the kernel's form of an address and returns its size.
func (o *datagramsOut) setName(to netip.AddrPort, v6 bool) int {
	if !to.IsValid() {
		return 0
	}
	m := &o.name.mem
	binary.BigEndian.PutUint16(m[2:], to.Port())
	if !v6 {
		binary.NativeEndian.PutUint16(m[:], unix.AF_INET)
		a := to.Addr().As4()
		copy(m[4:], a[:])
		clear(m[8:16])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(m[:], unix.AF_INET6)
	a := to.Addr().As16()
	clear(m[4:8]) // flow
	copy(m[8:], a[:])
	clear(m[24:28]) // scope
	return unix.SizeofSockaddrInet6
}

// setControl writes the source address (in_pktinfo, in6_pktinfo) and returns
// the size of the control message.
func (o *datagramsOut) setControl(from netip.Addr, v6 bool) int {
	if !from.IsValid() {
		return 0
	}
	clear(o.control[:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&o.control[0]))
	data := o.control[unix.CmsgLen(0):]
	if !v6 {
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		a := from.As4()
		copy(data[4:], a[:]) // spec_dst: the source of what is sent
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	a := from.As16()
	copy(data, a[:])
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}
