package network

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenOptions are what a listening socket is made with.
type ListenOptions struct {
	ReusePort   bool
	Transparent bool
	FreeBind    bool
	V6Only      bool // IPv6 sockets take IPv4 too when false
	Backlog     int  // 0 is the system's most
	Options     []SocketOption
}

// Listen makes a non-blocking listening socket.
func Listen(addr Address, o ListenOptions) (fd int, err error) {
	domain, sa, err := addr.sockaddr()
	if err != nil {
		return -1, fmt.Errorf("listen: %w", err)
	}
	fd, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
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
	for _, so := range o.Options {
		if err := so.Apply(fd, Bound); err != nil {
			return -1, err
		}
	}
	backlog := o.Backlog
	if backlog == 0 {
		backlog = 65535 // the kernel cuts it to net.core.somaxconn
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return -1, err
	}
	for _, so := range o.Options {
		if err := so.Apply(fd, Listening); err != nil {
			return -1, err
		}
	}
	return fd, nil
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
		level, name := unix.IPPROTO_IP, unix.IP_TRANSPARENT
		if domain == unix.AF_INET6 {
			level, name = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
		}
		if err := set(level, name, 1); err != nil {
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
	for _, so := range o.Options {
		if err := so.Apply(fd, Prebind); err != nil {
			return err
		}
	}
	return nil
}

// Accept takes one connection off a listening socket. The error is EAGAIN
// when there is none.
func Accept(listener int) (fd int, errno syscall.Errno) { return accept(listener) }

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
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Address{}, os.NewSyscallError("getsockname", err)
	}
	return addressOf(sa), nil
}
