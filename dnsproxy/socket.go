package dnsproxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a UDP socket in a pod that takes its questions. It tells which of
// its addresses a datagram came to, and sends from there.
type socket struct {
	conn *net.UDPConn
	is6  bool
}

// newSocket takes fd over. IP_PKTINFO or IPV6_RECVPKTINFO is set on it.
func newSocket(fd int) (*socket, error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("getsockopt SO_DOMAIN", err)
	}
	f := os.NewFile(uintptr(fd), "dns")
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, fmt.Errorf("a DNS socket is a %T", pc)
	}
	return &socket{conn: conn, is6: domain == unix.AF_INET6}, nil
}

// loopback is lo's index in every network namespace.
const loopback = 1

var errNotLocal = errors.New("a datagram that no process of the pod sent, or that does not tell where to")

// read reads a datagram: who sent it, and to which address. size is more than
// len(buf) if it was longer.
func (s *socket) read(buf []byte) (size int, from netip.AddrPort, to netip.Addr, err error) {
	var oob [128]byte
	n, oobn, flags, from, err := s.conn.ReadMsgUDPAddrPort(buf, oob[:])
	if err != nil {
		return 0, from, to, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		n = len(buf) + 1
	}
	to, ok := destination(oob[:oobn])
	if !ok {
		return n, from, to, errNotLocal
	}
	return n, from, to, nil
}

// write sends a datagram from one of the socket's addresses.
func (s *socket) write(b []byte, from netip.Addr, to netip.AddrPort) error {
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, source(from), to)
	return err
}

// destination is the address that a datagram from the pod itself came to.
func destination(oob []byte) (netip.Addr, bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return netip.AddrFrom4(info.Addr), info.Ifindex == loopback
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return netip.AddrFrom16(info.Addr), info.Ifindex == loopback
		}
	}
	return netip.Addr{}, false
}

// source is the control message that has a datagram sent from an address.
func source(from netip.Addr) []byte {
	if from.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: from.As16()})
}
