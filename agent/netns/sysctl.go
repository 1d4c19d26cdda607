package netns

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// fwmarkAccept makes an accepted socket have the mark of the SYN, so that what
// it sends takes the route of the mark.
const fwmarkAccept = "sys/net/ipv4/tcp_fwmark_accept"

// AcceptMarks makes accepted sockets of the namespace keep the mark of what
// they accept, or no more.
func (ns *NS) AcceptMarks(on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	err := ns.Do(func() error { return writeProc(fwmarkAccept, value) })
	if err != nil {
		return fmt.Errorf("in %s: net.ipv4.tcp_fwmark_accept: %w", ns.path, err)
	}
	return nil
}

// writeProc writes below /proc, in the namespace of the calling thread. In a
// container /proc/sys is read-only, so it goes by a mount of its own, which
// nobody else sees.
func writeProc(name, value string) error {
	err := os.WriteFile("/proc/"+name, []byte(value), 0)
	if !errors.Is(err, unix.EROFS) {
		return err
	}
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen proc", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return os.NewSyscallError("fsconfig proc", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fsmount proc", err)
	}
	defer unix.Close(mount)
	fd, err := unix.Openat(mount, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(value))
	return os.NewSyscallError("write", err)
}
