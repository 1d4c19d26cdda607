package network

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// UDPSocket is a non-blocking datagram socket.
type UDPSocket struct {
	FD      int
	v6      bool // its domain, which is what addresses must be written as
	gro     bool // the kernel may join datagrams of a sender
	maxSize int  // of a datagram to receive, in bytes
	// overflowed is how many datagrams the kernel had no room for so far.
	overflowed uint32
}

// BindUDP makes a socket bound to addr that tells of each datagram where it
// was sent to.
func BindUDP(addr Address, o ListenOptions) (fd int, err error) {
	domain, sa, err := addr.sockaddr()
	if err != nil || domain == unix.AF_UNIX {
		return -1, fmt.Errorf("listen on UDP: no IP address: %v", addr)
	}
	fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("listen on UDP %v: socket: %w", addr, err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			err = fmt.Errorf("listen on UDP %v: %w", addr, err)
		}
	}()
	if err := o.prepare(fd, domain); err != nil {
		return -1, err
	}
	level, name := unix.IPPROTO_IP, unix.IP_PKTINFO
	if domain == unix.AF_INET6 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	if err := unix.SetsockoptInt(fd, level, name, 1); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	return fd, o.apply(fd, Bound)
}

// NewUDPSocket is a socket made by BindUDP for addr, ready for use. Datagrams
// of more than maxSize bytes are dropped. preferGRO has the kernel join
// datagrams of one sender where it can.
func NewUDPSocket(fd int, addr Address, maxSize int, preferGRO bool) UDPSocket {
	s := UDPSocket{FD: fd, v6: addr.Addr().Is6(), maxSize: maxSize}
	s.prepare(preferGRO)
	return s
}

// OpenUDP makes an unbound socket to reach addr from.
func OpenUDP(addr Address, maxSize int, preferGRO bool, options []SocketOption) (UDPSocket, error) {
	domain, _, err := addr.sockaddr()
	if err != nil || domain == unix.AF_UNIX {
		return UDPSocket{}, fmt.Errorf("no IP address: %v", addr)
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return UDPSocket{}, os.NewSyscallError("socket", err)
	}
	for _, o := range options {
		if err := o.Apply(fd, Prebind); err != nil {
			unix.Close(fd)
			return UDPSocket{}, err
		}
	}
	s := UDPSocket{FD: fd, v6: domain == unix.AF_INET6, maxSize: maxSize}
	s.prepare(preferGRO)
	return s, nil
}

// limit is the most bytes of a datagram that is not dropped. Where the kernel
// joins datagrams it is that of Envoy's buffer, which has room for sixteen.
func (s *UDPSocket) limit() int {
	if s.gro {
		return min(16*s.maxSize, groSize)
	}
	return s.maxSize
}

// prepare sets what a kernel may know or not: GRO, and the count of datagrams
// that it had to drop.
func (s *UDPSocket) prepare(gro bool) {
	on := 0
	if gro {
		on = 1
	}
	s.gro = unix.SetsockoptInt(s.FD, unix.IPPROTO_UDP, unix.UDP_GRO, on) == nil && gro
	unix.SetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
}

// Connect has the socket talk to addr only, and learn of its ICMP errors.
func (s *UDPSocket) Connect(addr Address) error {
	_, sa, err := addr.sockaddr()
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", unix.Connect(s.FD, sa))
}

// SetTransparent lets the socket send from addresses that are not the
// machine's (IP_TRANSPARENT). It takes CAP_NET_ADMIN.
func (s *UDPSocket) SetTransparent() error { return setTransparent(s.FD, s.v6) }

func setTransparent(fd int, v6 bool) error {
	level, name := unix.IPPROTO_IP, unix.IP_TRANSPARENT
	if v6 {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, 1))
}

// Close closes the socket.
func (s *UDPSocket) Close() { closeFD(s.FD) }
