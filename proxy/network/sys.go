package network

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are for non-blocking descriptors, so they go to the kernel
// without telling Go's scheduler: that saves a fifth of a small request.

// maxIov bounds the pieces handed to one readv or writev.
const maxIov = 16

func readOnce(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
	return int(n), errno
}

// peek tells whether there is something to read besides the end.
func peek(fd int) bool {
	var p [1]byte
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p)), 1, unix.MSG_PEEK, 0, 0)
	return errno == 0 && n > 0
}

func readv(fd int, iov []unix.Iovec) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(len(iov)))
	return int(n), errno
}

func sendOnce(fd int, p []byte, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags|unix.MSG_NOSIGNAL), 0, 0)
	return int(n), errno
}

func sendv(fd int, iov []unix.Iovec, flags int) (int, syscall.Errno) {
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(len(iov))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags|unix.MSG_NOSIGNAL))
	return int(n), errno
}

func splice(from, to, n int) (int, syscall.Errno) {
	const flags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	k, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), flags)
	return int(k), errno
}

func accept(fd int, sa *rawSockaddr) (int, syscall.Errno) {
	sa.len = uint32(len(sa.mem))
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa.mem)), uintptr(unsafe.Pointer(&sa.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

func getsockname(fd int, sa *rawSockaddr) syscall.Errno {
	sa.len = uint32(len(sa.mem))
	_, _, errno := syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&sa.mem)), uintptr(unsafe.Pointer(&sa.len)))
	return errno
}

func closeFD(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

func shutdown(fd, how int) { syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0) }

// CloseFD closes a descriptor that no connection owns.
func CloseFD(fd int) { closeFD(fd) }

// ResetFD closes a TCP socket so that its peer sees a reset.
func ResetFD(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	closeFD(fd)
}
