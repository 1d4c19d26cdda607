package redirect

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/cgroup2"
)

// NetnsCookie is the number by which the programs know a network namespace.
// Before Linux 5.14 only a program can tell it.
func NetnsCookie(ns *netns.NS) (uint64, error) {
	cookie, err := ns.Cookie()
	if !errors.Is(err, unix.ENOPROTOOPT) {
		return cookie, err
	}
	cookie, err = cookieByProgram(ns)
	if err != nil {
		return 0, fmt.Errorf("cookie of network namespace %s: %w", ns.Path(), err)
	}
	return cookie, nil
}

// cookieByProgram makes a socket in the namespace and tries to connect it,
// while a program that sees it is attached to this process's cgroup.
func cookieByProgram(ns *netns.NS) (cookie uint64, err error) {
	raiseMemlock() // the first map of an agent may be this program's
	var objects bpf.CookieObjects
	if err := bpf.LoadCookieObjects(&objects, nil); err != nil {
		return 0, err
	}
	defer objects.Close()
	self, err := cgroup2.Self()
	if err != nil {
		return 0, err
	}
	l, err := link.AttachCgroup(link.CgroupOptions{
		Path: self, Attach: ebpf.AttachCGroupInet4Connect, Program: objects.WeirNetnsCookie,
	})
	if err != nil {
		return 0, err
	}
	defer l.Close()

	fds, err := ns.UpstreamSockets(false, 1)
	if err != nil {
		return 0, err
	}
	fd := fds[0]
	defer unix.Close(fd)
	if err := objects.WeirSkCookie.Put(int32(fd), uint64(0)); err != nil {
		return 0, err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}})
	if !errors.Is(err, unix.EPERM) {
		return 0, fmt.Errorf("the program was not asked (connect: %v)", err)
	}
	if err := objects.WeirSkCookie.Lookup(int32(fd), &cookie); err != nil {
		return 0, err
	}
	return cookie, nil
}
