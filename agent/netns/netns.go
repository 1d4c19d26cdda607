package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// The main thread stays with the main goroutine, so that it never enters a
// pod's namespace: /proc/self and /proc/PID tell of that thread, and the
// runtime cannot end it when it could not come back.
func init() { runtime.LockOSThread() }

// NS is an open network namespace. Close it: it keeps the namespace alive.
type NS struct {
	path string
	file *os.File
	ino  uint64
}

// Open opens the network namespace at path.
func Open(path string) (*NS, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		f.Close()
		return nil, fmt.Errorf("network namespace %s: %w", path, err)
	}
	// `ip netns add` makes the file before it mounts the namespace on it.
	if fs.Type != unix.NSFS_MAGIC {
		f.Close()
		return nil, fmt.Errorf("network namespace %s: not a namespace (nothing is mounted there)", path)
	}
	ino, err := inode(f.Name())
	if err != nil {
		f.Close()
		return nil, err
	}
	return &NS{path: path, file: f, ino: ino}, nil
}

// Current opens the calling thread's network namespace.
func Current() (*NS, error) { return Open("/proc/thread-self/ns/net") }

// Path is where the namespace was opened.
func (ns *NS) Path() string { return ns.path }

// MovedTo says where the namespace is found from now on.
func (ns *NS) MovedTo(path string) { ns.path = path }

// FD is the namespace's file descriptor; it is ns's.
func (ns *NS) FD() int { return int(ns.file.Fd()) }

// Inode tells namespaces apart, as ls -l /proc/PID/ns/net does. The kernel
// uses a number again once the namespace is gone; see [NS.Cookie].
func (ns *NS) Inode() uint64 { return ns.ino }

// IsAt reports whether path leads to this namespace.
func (ns *NS) IsAt(path string) bool {
	ino, err := inode(path)
	return err == nil && ino == ns.ino
}

// Close lets the namespace go.
func (ns *NS) Close() error { return ns.file.Close() }

// Do runs fn in the namespace, on a thread of its own. Sockets that fn makes
// stay in the namespace; goroutines that it starts do not run there.
func (ns *NS) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- ns.onLockedThread(fn)
	}()
	return <-done
}

// onLockedThread unlocks the thread when it has brought it back. If it could
// not, the thread ends with its goroutine and takes the namespace with it.
func (ns *NS) onLockedThread(fn func() error) error {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	if err := unix.Setns(ns.FD(), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", ns.path, err)
	}
	err = fn()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", ns.path, back))
	}
	runtime.UnlockOSThread()
	return err
}

// soNetnsCookie is SO_NETNS_COOKIE (asm-generic/socket.h), Linux 5.14.
const soNetnsCookie = 71

// Cookie is the number by which eBPF programs know the namespace
// (bpf_get_netns_cookie); it is never used again. ENOPROTOOPT before Linux
// 5.14: package redirect knows another way.
func (ns *NS) Cookie() (uint64, error) {
	var cookie uint64
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		cookie, err = SocketCookie(fd)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("network namespace %s: %w", ns.path, err)
	}
	return cookie, nil
}

// SocketCookie is the cookie of the namespace that a socket is in.
func SocketCookie(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, soNetnsCookie)
	if errors.Is(err, unix.ENOPROTOOPT) {
		return 0, fmt.Errorf("SO_NETNS_COOKIE (Linux 5.14): %w", err)
	}
	return cookie, os.NewSyscallError("getsockopt SO_NETNS_COOKIE", err)
}

func inode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}
