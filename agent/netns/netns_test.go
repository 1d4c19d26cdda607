package netns_test

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/netnsrig"
)

func open(t *testing.T) (*netnsrig.Pod, *netns.NS) {
	t.Helper()
	p := netnsrig.Test(t, "a")[0]
	ns, err := netns.Open(p.Netns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return p, ns
}

func TestDoComesBack(t *testing.T) {
	_, ns := open(t)
	here, err := netns.Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	boom := errors.New("boom")
	for range 100 {
		inside := ""
		err := ns.Do(func() error {
			inside, _ = os.Readlink("/proc/thread-self/ns/net")
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatalf("fn's error is %v", err)
		}
		outside, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil || inside == outside {
			t.Fatalf("inside %s, outside %s, %v", inside, outside, err)
		}
		if !here.IsAt("/proc/thread-self/ns/net") {
			t.Fatal("this thread is elsewhere now")
		}
	}
}

func TestSocketsAreInTheNamespace(t *testing.T) {
	_, ns := open(t)
	want, err := ns.Cookie()
	if err != nil || want == 0 {
		t.Fatalf("cookie %d, %v", want, err)
	}
	fds, err := ns.UpstreamSockets(true, 3)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := ns.Listen(netns.ListenOptions{Addr: netip.MustParseAddrPort("[2001:db8::1]:80"), Transparent: true})
	if err != nil {
		t.Fatalf("transparent, at an address that the pod does not have: %v", err)
	}
	for _, fd := range append(fds, listener) {
		if got, err := netns.SocketCookie(fd); err != nil || got != want {
			t.Errorf("a socket of namespace %d, %v; want %d", got, err, want)
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("flags %#x, %v: the socket blocks", flags, err)
		}
		unix.Close(fd)
	}
}

func TestReusePort(t *testing.T) {
	p, ns := open(t)
	o := netns.ListenOptions{Addr: netip.AddrPortFrom(p.IPv4, 80), ReusePort: true}
	for range 2 {
		fd, err := ns.Listen(o)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
	}
	o.ReusePort = false
	if fd, err := ns.Listen(o); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("without ReusePort: %d, %v", fd, err)
	}
}

func TestAddresses(t *testing.T) {
	p, ns := open(t)
	addrs, err := ns.Addresses()
	if want := []netip.Addr{p.IPv4, p.IPv6}; err != nil || !slices.Equal(addrs, want) {
		t.Errorf("%v, %v; want %v", addrs, err, want)
	}
}

func TestMarkRoute(t *testing.T) {
	p, ns := open(t)
	r := netns.MarkRoute{Mark: 0x7e57, Table: 4711, Priority: 99, Sources: []netip.Addr{p.IPv4, p.IPv6}}
	for range 2 { // the second changes nothing
		if err := ns.InstallMarkRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := routing(t, p), `99: from all fwmark 0x7e57 lookup 4711
local default dev lo scope host src `+p.IPv4.String()+`
99: from all fwmark 0x7e57 lookup 4711
local default dev lo src `+p.IPv6.String(); got != want {
		t.Errorf("installed:\n%s\nwant:\n%s", got, want)
	}
	removed, err := ns.RemoveMarkRoute(r)
	if err != nil || len(removed) != 4 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if got := routing(t, p); got != "" {
		t.Errorf("left:\n%s", got)
	}
	if removed, err := ns.RemoveMarkRoute(r); err != nil || len(removed) != 0 {
		t.Errorf("removed again %q, %v", removed, err)
	}
}

// routing is the rules with a mark and the routes of their table, cut down to
// what every version of ip prints.
func routing(t *testing.T, p *netnsrig.Pod) string {
	t.Helper()
	out, err := p.Output(t.Context(), "sh", "-c",
		"for f in -4 -6; do ip $f rule | grep fwmark; ip $f route show table 4711 2>/dev/null; done; true")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out) {
		line, _, _ = strings.Cut(line, " metric")
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestOpenRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"/run/netns/there-is-none": "no such file",
		"/etc/hostname":            "not a namespace",
	} {
		if _, err := netns.Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
