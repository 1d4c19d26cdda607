package network

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ListenOptions are what a listening socket is made with.
type ListenOptions struct {
	ReusePort   bool
	Transparent bool
	MPTCP       bool // clients may come by several paths
	FreeBind    bool
	V6Only      bool // IPv6 sockets take IPv4 too when false
	Backlog     int  // 0 is the system's most
	Options     []SocketOption
}

// Listen makes a non-blocking listening socket: Bind and Activate.
func Listen(addr Address, o ListenOptions) (fd int, err error) {
	fd, err = Bind(addr, o)
	if err == nil {
		if err = o.Activate(fd); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("listen on %v: %w", addr, err)
		}
	}
	return fd, err
}

// Bind makes a non-blocking socket that is bound but doesn't listen yet: the
// address is ours, while clients are still refused.
func Bind(addr Address, o ListenOptions) (fd int, err error) {
	domain, sa, err := addr.sockaddr()
	if err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	protocol := 0
	if o.MPTCP {
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, fmt.Errorf("listen on %v: socket: %w", addr, err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
			err = fmt.Errorf("listen on %v: %w", addr, err)
		}
	}()
	if err := o.prepare(fd, domain); err != nil {
		return -1, err
	}
	if addr.IsPipe() && addr.Path[0] != '@' {
		os.Remove(addr.Path) // a socket left by an earlier process
	}
	if err := unix.Bind(fd, sa); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	if addr.IsPipe() && addr.Mode != 0 {
		if err := os.Chmod(addr.Path, os.FileMode(addr.Mode)); err != nil {
			return -1, err
		}
	}
	return fd, o.apply(fd, Bound)
}

// Activate makes a bound socket listen.
func (o ListenOptions) Activate(fd int) error {
	backlog := o.Backlog
	if backlog == 0 {
		backlog = 65535 // the kernel cuts it to net.core.somaxconn
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return os.NewSyscallError("listen", err)
	}
	return o.apply(fd, Listening)
}

func (o ListenOptions) apply(fd int, at SocketState) error {
	for _, so := range o.Options {
		if err := so.Apply(fd, at); err != nil {
			return err
		}
	}
	return nil
}

func (o ListenOptions) prepare(fd, domain int) error {
	set := func(level, name, value int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
	}
	if domain != unix.AF_UNIX {
		if err := set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if domain == unix.AF_INET6 {
		v6only := 0
		if o.V6Only {
			v6only = 1
		}
		if err := set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only); err != nil {
			return err
		}
	}
	if o.ReusePort && domain != unix.AF_UNIX {
		if err := set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	if o.Transparent {
		if err := setTransparent(fd, domain == unix.AF_INET6); err != nil {
			return err
		}
	}
	if o.FreeBind {
		level, name := unix.IPPROTO_IP, unix.IP_FREEBIND
		if domain == unix.AF_INET6 {
			level, name = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
		}
		if err := set(level, name, 1); err != nil {
			return err
		}
	}
	return o.apply(fd, Prebind)
}

// Accept takes one connection off a listening socket, non-blocking, with its
// peer's address. The error is EAGAIN when there is none.
func Accept(listener int) (fd int, remote Address, errno syscall.Errno) {
	var sa rawSockaddr
	fd, errno = accept(listener, &sa)
	if errno != 0 {
		return -1, remote, errno
	}
	return fd, sa.address(), 0
}

// SocketNames are a connected socket's addresses as the kernel has them.
func SocketNames(fd int) (local, remote Address, err error) {
	lsa, err := unix.Getsockname(fd)
	if err != nil {
		return local, remote, os.NewSyscallError("getsockname", err)
	}
	rsa, err := unix.Getpeername(fd)
	if err != nil {
		return local, remote, os.NewSyscallError("getpeername", err)
	}
	return addressOf(lsa), addressOf(rsa), nil
}

// LocalName is the address that a socket is bound to.
func LocalName(fd int) (Address, error) {
	var sa rawSockaddr
	if errno := getsockname(fd, &sa); errno != 0 {
		return Address{}, os.NewSyscallError("getsockname", errno)
	}
	return sa.address(), nil
}

// EAGAIN is the error of calls that would have to wait.
const EAGAIN = unix.EAGAIN

// Peek looks at the first bytes that a socket has received, without consuming
// them. 0 bytes without an error is the stream's end.
func Peek(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_PEEK, 0, 0)
	return int(n), errno
}

// Discard consumes n bytes that were peeked at. It is false when they are not
// there.
func Discard(fd, n int) bool {
	var p [512]byte
	for n > 0 {
		k, errno := readOnce(fd, p[:min(n, len(p))])
		if errno != 0 || k == 0 {
			return false
		}
		n -= k
	}
	return true
}

// Equal tells whether two sockets made with o and p are interchangeable.
func (o ListenOptions) Equal(p ListenOptions) bool {
	return o.ReusePort == p.ReusePort && o.Transparent == p.Transparent && o.MPTCP == p.MPTCP && o.FreeBind == p.FreeBind && o.V6Only == p.V6Only && o.Backlog == p.Backlog &&
		slices.EqualFunc(o.Options, p.Options, SocketOption.equal)
}
