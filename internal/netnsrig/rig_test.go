package netnsrig

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestPodsReachEachOther(t *testing.T) {
	pods := Test(t, "a", "b")
	for _, addr := range []net.IP{pods[1].IPv4.AsSlice(), pods[1].IPv6.AsSlice()} {
		l, err := pods[1].Listen("tcp", net.JoinHostPort(addr.String(), "80"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				io.WriteString(c, c.RemoteAddr().String())
				c.Close()
			}
		}()
		c, err := pods[0].Dial(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(c)
		if want := c.LocalAddr().String(); string(got) != want {
			t.Errorf("%s saw %q connect, want %q", l.Addr(), got, want)
		}
		c.Close()
		l.Close()
	}
}

func TestSweepRemovesWhatTheDeadLeft(t *testing.T) {
	RequireRoot(t)
	rig, err := New()
	if err != nil {
		t.Fatal(err)
	}
	pod, err := rig.AddPod("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetAlias(rig.bridge, strconv.Itoa(1<<30)); err != nil { // no such process
		t.Fatal(err)
	}
	pod.ns.Close()
	removed, err := Sweep()
	if err != nil || !slices.Contains(removed, rig.bridge.Attrs().Name) {
		t.Errorf("swept %q, %v", removed, err)
	}
	for _, path := range []string{pod.Netns, pod.Cgroup, rig.cgroup} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if _, err := netlink.LinkByName(rig.vethName(1)); err == nil {
		t.Errorf("%s is left", rig.vethName(1))
	}
}

func TestCommandRunsInNamespaceAndCgroup(t *testing.T) {
	pod := Test(t, "a")[0]
	out, err := pod.Output(t.Context(), "sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/cgroup")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	here, _ := os.Readlink("/proc/self/ns/net")
	if len(out) < len(here) || out[:len(here)] == here {
		t.Errorf("ran in this process's namespace %s:\n%s", here, out)
	}
}
