package event

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events are the edges seen on a file descriptor.
type Events uint32

// Readable tells that reading may give bytes, end of stream or an error.
func (e Events) Readable() bool {
	return e&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
}

// Writable tells that a write may succeed or report an error.
func (e Events) Writable() bool { return e&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// PeerClosed tells that the peer has sent its last byte: whatever is read,
// reading goes on until end of stream.
func (e Events) PeerClosed() bool { return e&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Failed tells that the descriptor is in error or hung up both ways.
func (e Events) Failed() bool { return e&(unix.EPOLLERR|unix.EPOLLHUP) != 0 }

const interest uint32 = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | (unix.EPOLLET & 0xffffffff)

// Add registers fd, edge-triggered for reading and writing.
func (d *Dispatcher) Add(fd int, h Handler) error { return d.add(fd, h, interest) }

// AddAcceptor registers a listening socket: level-triggered for reading, so
// that a handler may stop accepting half-way, and woken alone where several
// loops share the socket.
func (d *Dispatcher) AddAcceptor(fd int, h Handler) error {
	return d.add(fd, h, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

func (d *Dispatcher) add(fd int, h Handler, events uint32) error {
	for fd >= len(d.files) {
		d.files = append(d.files, make([]file, max(64, len(d.files)/2))...)
	}
	f := &d.files[fd]
	f.gen++
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(f.gen)}
	if errno := epollCtl(d.epfd, unix.EPOLL_CTL_ADD, fd, &ev); errno != 0 {
		return fmt.Errorf("dispatcher %s: epoll_ctl add fd %d: %w", d.name, fd, errno)
	}
	f.h = h
	return nil
}

// Replace hands a descriptor that is registered over to another handler. The
// edges seen before are not told again: the new handler must look for itself.
func (d *Dispatcher) Replace(fd int, h Handler) { d.files[fd].h = h }

// Remove forgets fd, which stays open.
func (d *Dispatcher) Remove(fd int) {
	d.Forget(fd)
	var ev unix.EpollEvent
	epollCtl(d.epfd, unix.EPOLL_CTL_DEL, fd, &ev)
}

// Forget is Remove for a descriptor that the caller closes next and that has
// no duplicates: the kernel then drops the registration by itself.
func (d *Dispatcher) Forget(fd int) {
	if fd < len(d.files) {
		d.files[fd].h = nil
	}
}

// The raw system calls below do not tell Go's scheduler. None of them blocks.

func epollNow(epfd int, ready []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&ready[0])), uintptr(len(ready)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func epollCtl(epfd, op, fd int, ev *unix.EpollEvent) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return errno
}
