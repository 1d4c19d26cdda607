package fdstore

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Keep starts the process that keeps the descriptors. It ends with the proxy,
// after it has sent what can go on through the socket out.
func (s *Store) Keep(out int) error {
	self, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	s.note.poll.fd, s.note.poll.events, s.note.out = int32(self), unix.POLLIN, int32(out)
	// The signals of a process that runs no Go are nobody's; it keeps this
	// thread's mask.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return fmt.Errorf("blocking signals: %w", err)
	}
	args, length := arguments()
	pid, errno := fork(s.note, args, length)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil); err != nil {
		return fmt.Errorf("unblocking signals: %w", err)
	}
	if errno != 0 {
		unix.Close(self)
		return fmt.Errorf("clone: %w", errno)
	}
	s.keeper = pid
	return nil
}

// End ends the process: the proxy ends in order, and takes all with it.
func (s *Store) End() {
	unix.Kill(s.keeper, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(s.keeper, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// fork makes the process. What runs there has Go's memory but nothing of its
// runtime: it must not grow its stack, allocate, write a pointer or be
// preempted. So all of it is nosplit, and calls the kernel only.
//
//go:norace
//go:nosplit
func fork(n *note, args unsafe.Pointer, length int) (int, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, unix.CLONE_FILES|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		rename(args, length)
		keep(n)
	}
	return int(pid), errno
}

// arguments is where the command line lies that the kernel shows.
func arguments() (unsafe.Pointer, int) {
	length := 0
	for _, a := range os.Args {
		length += len(a) + 1
	}
	return unsafe.Pointer(unsafe.StringData(os.Args[0])), length - 1
}

// name is what the process is called: who kills proxies by their name or
// command line is not to kill it, too.
const name = "weir-fdstore\x00"

// rename gives the process, whose memory is its own, another name.
//
//go:norace
//go:nosplit
func rename(args unsafe.Pointer, length int) {
	for i := range length {
		c := byte(0)
		if i < len(name) {
			c = name[i]
		}
		*(*byte)(unsafe.Add(args, i)) = c
	}
	syscall.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(unsafe.StringData(name))), 0)
}

// keep waits for the proxy's end and does what is to be done then.
//
//go:norace
//go:nosplit
func keep(n *note) {
	for {
		ready, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&n.poll)), 1, 0, 0, 0, 0)
		if errno == 0 && ready == 1 {
			break
		}
		if errno != unix.EINTR {
			exit()
		}
	}
	closeOthers(n)
	for fd := uintptr(0); fd < n.count; fd++ {
		if e := entryOf(n, fd); e.nameLen > 0 && goesOn(n, fd) && !send(n, e, fd) {
			exit()
		}
	}
	exit()
}

// The lengths of control messages with one and two descriptors.
const (
	lengthOfOne = unix.SizeofCmsghdr + 4
	lengthOfTwo = unix.SizeofCmsghdr + 8
)

// closeOthers closes what can't go on, above all what the ends of connections
// and of the proxy are told by.
//
//go:norace
//go:nosplit
func closeOthers(n *note) {
	from := uintptr(0)
	for fd := uintptr(0); fd < n.count; fd++ {
		if fd == uintptr(n.out) || goesOn(n, fd) {
			if from < fd {
				syscall.RawSyscall(unix.SYS_CLOSE_RANGE, from, fd-1, 0)
			}
			from = fd + 1
		}
	}
	syscall.RawSyscall(unix.SYS_CLOSE_RANGE, from, ^uintptr(0)>>32, 0)
}

//go:norace
//go:nosplit
func send(n *note, e *Entry, fd uintptr) bool {
	n.control.length, n.control.fds = lengthOfOne, [2]int32{int32(fd), 0}
	if e.state == paired {
		n.control.length, n.control.fds[1] = lengthOfTwo, int32(e.partner)
	}
	n.parts[0].base = uintptr(unsafe.Pointer(e))
	n.parts[1] = part{}
	if e.state == held {
		n.parts[1] = part{n.rooms + uintptr(e.place-1)*roomEach, uint64(e.length)}
	}
	for {
		_, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(n.out), uintptr(unsafe.Pointer(&n.message)), unix.MSG_NOSIGNAL)
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}

//go:norace
//go:nosplit
func entryOf(n *note, fd uintptr) *Entry {
	return (*Entry)(unsafe.Add(unsafe.Pointer(n), unsafe.Sizeof(note{})+fd*unsafe.Sizeof(Entry{})))
}

//go:norace
//go:nosplit
func goesOn(n *note, fd uintptr) bool {
	switch e := entryOf(n, fd); e.state {
	case idle, held:
		return true
	case paired:
		other := uintptr(e.partner)
		o := entryOf(n, other)
		return o.state == paired && uintptr(o.partner) == fd && passedOn(n, fd, other) && passedOn(n, other, fd)
	}
	return false
}

//go:norace
//go:nosplit
func exit() {
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}
