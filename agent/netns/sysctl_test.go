package netns_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// In a container /proc/sys is read-only.
func TestAcceptMarksWithReadOnlyProc(t *testing.T) {
	pod := netnsrig.Test(t, "a")[0]
	ns, err := netns.Open(pod.Netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	value := func() string {
		out, err := pod.Output(t.Context(), "cat", "/proc/sys/net/ipv4/tcp_fwmark_accept")
		if err != nil {
			t.Fatal(err, out)
		}
		return strings.TrimSpace(out)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with its mounts
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
				return err
			}
			if err := unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				return err
			}
			if err := unix.Setns(ns.FD(), unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := os.WriteFile("/proc/"+netns.FwmarkAccept, []byte("1"), 0); err == nil {
				t.Error("/proc/sys can be written to; nothing is tested")
			}
			return netns.WriteProc(netns.FwmarkAccept, "1")
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := value(); got != "1" {
		t.Errorf("tcp_fwmark_accept is %s in the pod", got)
	}
	if err := ns.AcceptMarks(false); err != nil || value() != "0" {
		t.Errorf("not taken back: %v", err)
	}
}
