package network

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Source is where an upstream connection is to come from: an address that need
// not be the machine's own. The zero value leaves it to the kernel.
type Source struct {
	netip.Addr
	Mark uint32 // SO_MARK, by which routes find the packets; 0: none
}

// Bind is the local address for network.Dial. The kernel chooses the port.
func (s Source) Bind() Address { return IPAddress(netip.AddrPortFrom(s.Addr, 0)) }

// Sockopts are what a socket needs to be bound to the address.
func (s Source) Sockopts() []SocketOption {
	level, name := unix.IPPROTO_IP, unix.IP_TRANSPARENT
	if s.Is6() {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
	}
	out := []SocketOption{
		{Level: level, Name: name, Int: 1, Description: "original_src"},
		// One port can then be used for several destinations.
		{Level: unix.IPPROTO_IP, Name: unix.IP_BIND_ADDRESS_NO_PORT, Int: 1, Description: "original_src"},
	}
	if s.Mark != 0 {
		out = append(out, SocketOption{Level: unix.SOL_SOCKET, Name: unix.SO_MARK, Int: int(s.Mark), Description: "original_src"})
	}
	return out
}
