package network

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Address is an IP address with a port, or the path of a UNIX socket (a
// leading "@" stands for the abstract namespace). The zero value is no
// address.
type Address struct {
	netip.AddrPort
	Path string
	Mode uint32 // permission bits of a UNIX socket that is bound; 0 leaves the umask's
}

// IPAddress is the address of an IP endpoint.
func IPAddress(ap netip.AddrPort) Address { return Address{AddrPort: ap} }

// IsPipe tells whether a is the path of a UNIX socket.
func (a Address) IsPipe() bool { return a.Path != "" }

// IsSet tells whether a is an address at all.
func (a Address) IsSet() bool { return a.Path != "" || a.AddrPort.IsValid() }

// String is Envoy's form: "1.2.3.4:80", "[::1]:80" or the path.
func (a Address) String() string {
	if a.Path != "" {
		return a.Path
	}
	if !a.AddrPort.IsValid() {
		return ""
	}
	return a.AddrPort.String()
}

func (a Address) sockaddr() (domain int, sa unix.Sockaddr, err error) {
	switch {
	case a.Path != "":
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: a.Path}, nil
	case a.Addr().Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	case a.Addr().Is6():
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}, nil
	}
	return 0, nil, fmt.Errorf("no address")
}

func addressOf(sa unix.Sockaddr) Address {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return IPAddress(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrInet6:
		return IPAddress(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)))
	case *unix.SockaddrUnix:
		return Address{Path: sa.Name}
	}
	return Address{}
}

// rawSockaddr is the kernel's form of an address, decoded without allocating
// (but for the path of a UNIX socket).
type rawSockaddr struct {
	mem [unix.SizeofSockaddrUnix]byte
	len uint32
}

func (r *rawSockaddr) address() Address {
	// Family in the host's order, then the port in the network's
	// (sockaddr_in, sockaddr_in6).
	port := uint16(r.mem[2])<<8 | uint16(r.mem[3])
	switch binary.NativeEndian.Uint16(r.mem[:]) {
	case unix.AF_INET:
		return IPAddress(netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.mem[4:8])), port))
	case unix.AF_INET6:
		return IPAddress(netip.AddrPortFrom(netip.AddrFrom16([16]byte(r.mem[8:24])).Unmap(), port))
	case unix.AF_UNIX:
		path := r.mem[2:max(2, min(int(r.len), len(r.mem)))]
		if len(path) == 0 {
			return Address{Path: anonymousPipe}
		}
		if path[0] == 0 {
			return Address{Path: "@" + string(path[1:])}
		}
		if i := bytes.IndexByte(path, 0); i >= 0 {
			path = path[:i]
		}
		return Address{Path: string(path)}
	}
	return Address{}
}

// anonymousPipe is the path of a UNIX socket that was not bound, as the peer
// of an accepted connection mostly is.
const anonymousPipe = "@"
