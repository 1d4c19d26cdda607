package redirect

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
)

func cgroupID(p *netnsrig.Pod) (uint64, error) { return cgroup2.ID(p.Cgroup) }

// beat does what a proxy does with the heartbeat's descriptor.
func beat(t *testing.T, r *Redirect) {
	t.Helper()
	page, err := unix.Mmap(r.HeartbeatFD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	*(*uint64)(unsafe.Pointer(&page[0])) = uint64(now.Nano())
}

func TestSilentProxy(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a", "server")
		r := load(t)
		a := manage(t, r, pods[0], mode)
		a.serve(":8080")
		l, err := pods[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		answer(t, l, func(*net.TCPConn) string { return "server" })
		server := net.JoinHostPort(pods[1].IPv4.String(), "80")
		app := net.JoinHostPort(a.IPv4.String(), "8080")

		if err := r.SetMaxSilence(time.Hour); err != nil {
			t.Fatal(err)
		}
		wantError(t, a.Pod, server, syscall.EPERM) // it has never beaten
		wantError(t, pods[1], app, syscall.ECONNREFUSED)
		a.pod.FailOpen = true
		a.put()
		wantAnswer(t, a.Pod, server, "server")
		wantAnswer(t, pods[1], app, "app")

		beat(t, r)
		wantAnswer(t, a.Pod, server, "outbound "+server)
		wantAnswer(t, pods[1], app, "inbound "+app)

		if err := r.SetMaxSilence(time.Millisecond); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // what is tested is time
		wantAnswer(t, a.Pod, server, "server")
		a.pod.External = true // such a proxy does not beat
		a.put()
		wantAnswer(t, a.Pod, server, "outbound "+server)
		a.pod.External = false
		if err := r.SetMaxSilence(0); err != nil {
			t.Fatal(err)
		}
		a.put()
		wantAnswer(t, a.Pod, server, "outbound "+server)
		if err := r.SetBypass(true); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, a.Pod, server, "server")
		wantAnswer(t, pods[1], app, "app")
	})
}

// A pod that has no IPv6 address cannot slip out by one that it gets later.
func TestFamilyThePodDoesNotHave(t *testing.T) {
	pods := netnsrig.Test(t, "a")
	a := manage(t, load(t), pods[0], nil)
	a.pod.Outbound6 = netip.AddrPort{}
	a.put()
	wantError(t, a.Pod, service6.String(), syscall.EPERM)
	wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
}

func TestTakeOverAndCleanup(t *testing.T) {
	pods := netnsrig.Test(t, "a")
	first := load(t)
	a := manage(t, first, pods[0], func(p *Pod) { p.Rewrite = true })
	a.left = true
	first.Close() // as if it were killed
	wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())

	second := open(t, first.Dir())
	a.r = second
	if pods, err := second.PodCookies(); err != nil || pods[a.pod.Cookie] != a.pod.ID {
		t.Errorf("pods taken over: %v, %v", pods, err)
	}
	if _, ok, err := second.Listener(a.pod.ID, Outbound4); !ok || err != nil {
		t.Errorf("listener taken over: %v, %v", ok, err)
	}
	a.put()
	if err := second.AttachNetns(Namespace{PodID: a.pod.ID, Cookie: a.pod.Cookie, FD: a.ns.FD(), Inode: a.ns.Inode()}); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
	links, err := filepath.Glob(filepath.Join(second.Dir(), linkDir, "*"))
	if want := 7; err != nil || len(links) != want {
		t.Errorf("%d links %v, want %d", len(links), links, want)
	}

	removed, err := Cleanup(second.Dir())
	if want := 7 + len(second.maps()) + 2; err != nil || len(removed) != want {
		t.Errorf("removed %d things, %v; want %d:\n%q", len(removed), err, want, removed)
	}
	if _, err := os.Stat(second.Dir()); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", second.Dir(), err)
	}
	if out, err := a.Output(t.Context(), "curl", "-sS", "-m", "1", service4.Addr().String()); err == nil {
		t.Errorf("still caught after cleanup: %s", out)
	}
}
