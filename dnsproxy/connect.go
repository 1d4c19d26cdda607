package dnsproxy

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ConnectTCP connects a non-blocking socket, which it takes over. It does not
// wait: the first write does.
func ConnectTCP(fd int, to netip.AddrPort) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "dns upstream")
	defer f.Close()
	if err := connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, err
	}
	return net.FileConn(f)
}

// ConnectUDP connects a socket and binds it to a port that nobody can guess.
// When the connection is closed it gives the socket back, as it was. On an
// error it does so at once.
func ConnectUDP(fd int, to netip.AddrPort, giveBack func()) (net.Conn, error) {
	if err := connect(fd, to); err != nil {
		disconnect(fd)
		giveBack()
		return nil, err
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		disconnect(fd)
		giveBack()
		return nil, os.NewSyscallError("dup", err)
	}
	f := os.NewFile(uintptr(dup), "dns upstream")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		disconnect(fd)
		giveBack()
		return nil, err
	}
	return &lent{conn, fd, giveBack}, nil
}

// lent is a connection whose socket outlives it.
type lent struct {
	net.Conn
	fd       int
	giveBack func()
}

func (l *lent) Close() error {
	err := l.Conn.Close()
	disconnect(l.fd)
	l.giveBack()
	return err
}

func connect(fd int, to netip.AddrPort) error {
	var sa unix.Sockaddr
	if to.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	}
	return os.NewSyscallError("connect", unix.Connect(fd, sa))
}

// disconnect takes a UDP socket's peer and port from it, and what has come for
// them.
func disconnect(fd int) {
	unspecified := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified))
	var buf [1]byte
	for {
		if _, _, err := unix.Recvfrom(fd, buf[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			return
		}
	}
}
