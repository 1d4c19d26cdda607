package netns

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is what listen(2) is given; the kernel lowers it to the namespace's
// net.core.somaxconn. It bounds what queues while a proxy restarts.
const backlog = 4096

// ListenOptions describes a listening TCP socket.
type ListenOptions struct {
	// Addr is what it binds to. Port 0 takes a free one.
	Addr netip.AddrPort
	// Transparent lets it accept connections to addresses that the namespace
	// does not have (IP_TRANSPARENT, IPV6_TRANSPARENT).
	Transparent bool
	// ReusePort lets several sockets share Addr (SO_REUSEPORT).
	ReusePort bool
}

// Listen makes a non-blocking listening socket in the namespace. An IPv6
// socket takes IPv6 only.
func (ns *NS) Listen(o ListenOptions) (fd int, err error) {
	err = ns.Do(func() error {
		fd, err = listen(o)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("listen on %s in %s: %w", o.Addr, ns.path, err)
	}
	return fd, nil
}

func listen(o ListenOptions) (int, error) {
	fd, err := tcpSocket(o.Addr.Addr().Is6())
	if err != nil {
		return -1, err
	}
	for _, opt := range o.sockopts() {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, 1); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt "+opt.text, err)
		}
	}
	if err := unix.Bind(fd, sockaddr(o.Addr)); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("listen", err)
	}
	return fd, nil
}

type sockopt struct {
	level, name int
	text        string
}

func (o ListenOptions) sockopts() []sockopt {
	is6 := o.Addr.Addr().Is6()
	opts := []sockopt{{unix.SOL_SOCKET, unix.SO_REUSEADDR, "SO_REUSEADDR"}}
	if is6 {
		opts = append(opts, sockopt{unix.SOL_IPV6, unix.IPV6_V6ONLY, "IPV6_V6ONLY"})
	}
	switch {
	case o.Transparent && is6:
		opts = append(opts, sockopt{unix.SOL_IPV6, unix.IPV6_TRANSPARENT, "IPV6_TRANSPARENT"})
	case o.Transparent:
		opts = append(opts, sockopt{unix.SOL_IP, unix.IP_TRANSPARENT, "IP_TRANSPARENT"})
	}
	if o.ReusePort {
		opts = append(opts, sockopt{unix.SOL_SOCKET, unix.SO_REUSEPORT, "SO_REUSEPORT"})
	}
	return opts
}

// UpstreamSockets makes n unconnected, non-blocking TCP sockets in the
// namespace, for IPv6 when is6. It returns all or none.
func (ns *NS) UpstreamSockets(is6 bool, n int) ([]int, error) { return ns.sockets(tcpSocket, is6, n) }

// UDPSockets is the same for UDP; they are not bound either.
func (ns *NS) UDPSockets(is6 bool, n int) ([]int, error) { return ns.sockets(udpSocket, is6, n) }

func (ns *NS) sockets(socket func(is6 bool) (int, error), is6 bool, n int) ([]int, error) {
	fds := make([]int, 0, n)
	err := ns.Do(func() error {
		for range n {
			fd, err := socket(is6)
			if err != nil {
				return err
			}
			fds = append(fds, fd)
		}
		return nil
	})
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("upstream sockets in %s: %w", ns.path, err)
	}
	return fds, nil
}

// TransparentSockets makes n sockets like [NS.UpstreamSockets] that may be
// bound to any address, the client's, to connect to the namespace's own: they
// are bound to lo and have the mark of a [MarkRoute], by which the answers come
// back. It needs [NS.AcceptMarks].
func (ns *NS) TransparentSockets(is6 bool, n int, mark uint32) ([]int, error) {
	fds, err := ns.UpstreamSockets(is6, n)
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		if err = makeTransparent(fd, is6, mark); err != nil {
			break
		}
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("transparent sockets in %s: %w", ns.path, err)
	}
	return fds, nil
}

func makeTransparent(fd int, is6 bool, mark uint32) error {
	opts := ListenOptions{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Transparent: true}
	if is6 {
		opts.Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	for _, opt := range opts.sockopts() {
		if err := unix.SetsockoptInt(fd, opt.level, opt.name, 1); err != nil {
			return os.NewSyscallError("setsockopt "+opt.text, err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
		return os.NewSyscallError("setsockopt SO_MARK", err)
	}
	// By index: the socket's namespace decides, not this thread's.
	return os.NewSyscallError("setsockopt SO_BINDTOIFINDEX", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, loopback))
}

func tcpSocket(is6 bool) (int, error) { return socket(is6, unix.SOCK_STREAM, unix.IPPROTO_TCP) }
func udpSocket(is6 bool) (int, error) { return socket(is6, unix.SOCK_DGRAM, unix.IPPROTO_UDP) }

func socket(is6 bool, kind, protocol int) (int, error) {
	domain := unix.AF_INET
	if is6 {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	return fd, os.NewSyscallError("socket", err)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
