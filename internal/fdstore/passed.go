package fdstore

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// counts are what the kernel knows of a TCP connection.
type counts struct {
	info    [256]byte // struct tcp_info
	length  uint32    // of it
	waiting int32     // bytes that were received and not read, or written and not acknowledged
}

// Where struct tcp_info has the state, and the bytes that were acknowledged
// and received.
const (
	stateAt    = unsafe.Offsetof(unix.TCPInfo{}.State)
	ackedAt    = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked)
	receivedAt = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received)
)

// passedOn tells whether as many bytes were written to a connection as were
// read from another.
//
//go:norace
//go:nosplit
func passedOn(n *note, from, to uintptr) bool {
	received, unread, ok := steady(n, from, receivedAt, unix.SIOCINQ)
	if !ok {
		return false
	}
	// The peer's FIN, which nobody has read yet, is among what was received but
	// not among what waits.
	switch n.counts.info[stateAt] {
	case unix.BPF_TCP_ESTABLISHED:
	case unix.BPF_TCP_CLOSE_WAIT:
		received -= n.finCounts
	default:
		return false
	}
	acked, pending, ok := steady(n, to, ackedAt, unix.SIOCOUTQ)
	// The SYN of who connects is acknowledged, too, and counts as a byte.
	if entryOf(n, to).nameLen == 0 {
		acked -= n.synCounts
	}
	return ok && received-unread == acked+pending
}

// steady reads one of the counts and the length of the queue that goes with
// it. How much was read or written in all does not change any more, but what
// is received or acknowledged may between the two calls, so that it can take
// some tries until they agree.
//
//go:norace
//go:nosplit
func steady(n *note, fd, at, queue uintptr) (total, waits uint64, ok bool) {
	for range 64 {
		total, ok = count(n, fd, at)
		if !ok {
			break
		}
		if waits, ok = waiting(n, fd, queue); !ok {
			break
		}
		if again, _ := count(n, fd, at); again == total {
			return total, waits, true
		}
	}
	return 0, 0, false
}

//go:norace
//go:nosplit
func count(n *note, fd, at uintptr) (uint64, bool) {
	n.counts.length = uint32(len(n.counts.info))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&n.counts.info)), uintptr(unsafe.Pointer(&n.counts.length)), 0)
	return *(*uint64)(unsafe.Add(unsafe.Pointer(&n.counts.info), at)), errno == 0 && n.counts.length > uint32(at)
}

//go:norace
//go:nosplit
func waiting(n *note, fd, queue uintptr) (uint64, bool) {
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, fd, queue, uintptr(unsafe.Pointer(&n.counts.waiting)))
	return uint64(n.counts.waiting), errno == 0
}

// calibrate finds out how this kernel counts: what is acknowledged of a
// connection that was made, and received by one that the peer has ended,
// without a byte of data.
func (n *note) calibrate() error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(l)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(l, 1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(c)
	if err := unix.Connect(c, at); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	a, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	unix.Close(a)
	// The end of the stream is there when a read has seen it.
	if _, err := unix.Read(c, make([]byte, 1)); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	var ok1, ok2 bool
	n.synCounts, ok1 = count(n, uintptr(c), ackedAt)
	n.finCounts, ok2 = count(n, uintptr(c), receivedAt)
	if !ok1 || !ok2 {
		return errors.New("TCP_INFO tells of no bytes")
	}
	return nil
}
