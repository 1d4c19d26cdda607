package network

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ip6tSoOriginalDst is IP6T_SO_ORIGINAL_DST of <linux/netfilter_ipv6/ip6_tables.h>.
const ip6tSoOriginalDst = 80

// OriginalDst asks the kernel where a redirected connection was going:
// SO_ORIGINAL_DST, which netfilter's REDIRECT and weir's connect rewriting
// answer. ok is false when the connection was not redirected. The family is
// that of the socket's own address: a v6 socket with a mapped address answers
// the v4 question.
func OriginalDst(fd int, local Address) (addr Address, ok bool) {
	if !local.AddrPort.IsValid() {
		return Address{}, false
	}
	level, name := unix.IPPROTO_IP, unix.SO_ORIGINAL_DST
	if local.Addr().Is6() {
		level, name = unix.IPPROTO_IPV6, ip6tSoOriginalDst
	}
	var sa rawSockaddr
	sa.len = unix.SizeofSockaddrInet6
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&sa.mem)), uintptr(unsafe.Pointer(&sa.len)), 0)
	if errno != 0 {
		return Address{}, false
	}
	addr = sa.address()
	return addr, addr.AddrPort.IsValid()
}

// IsTransparent tells whether a socket has IP_TRANSPARENT set: the local
// address of what it accepted is where the client was going.
func IsTransparent(fd int, local Address) bool {
	level, name := unix.IPPROTO_IP, unix.IP_TRANSPARENT
	if local.Addr().Is6() {
		level, name = unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT
	}
	v, err := unix.GetsockoptInt(fd, level, name)
	return err == nil && v != 0
}
