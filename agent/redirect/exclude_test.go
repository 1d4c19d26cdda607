package redirect

import (
	"bytes"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// Two pods: what one excludes is nothing to the other.
func TestExclusions(t *testing.T) {
	for name, rewrite := range map[string]bool{"mark": false, "rewrite": true} {
		t.Run(name, func(t *testing.T) {
			rig := netnsrig.Test(t, "a", "b", "server")
			r := load(t)
			server := rig[2]
			for _, port := range []string{":80", ":81"} {
				serveApp(t, server, port)
			}
			s4, s6 := netip.AddrPortFrom(server.IPv4, 80).String(), netip.AddrPortFrom(server.IPv6, 80).String()
			other := netip.AddrPortFrom(server.IPv4, 81).String()
			mapped := "[::ffff:" + server.IPv4.String() + "]:80"
			a := manage(t, r, rig[0], func(p *Pod) { p.Rewrite = rewrite })
			manage(t, r, rig[1], func(p *Pod) { p.Rewrite = rewrite })
			caught := func(addr string) string {
				return "outbound " + strings.ReplaceAll(addr, "[::ffff:"+server.IPv4.String()+"]", server.IPv4.String())
			}
			for _, tt := range []struct {
				name        string
				exclude     func(*Pod)
				alone, kept []string
			}{
				{"nothing", func(*Pod) {}, nil, []string{s4, s6, other, mapped}},
				{"an IPv4 range", func(p *Pod) { p.ExcludeCIDRs = []netip.Prefix{netip.PrefixFrom(server.IPv4, 24).Masked()} },
					[]string{s4, other, mapped}, []string{s6, service4.String()}},
				{"an IPv6 address", func(p *Pod) { p.ExcludeCIDRs = []netip.Prefix{netip.PrefixFrom(server.IPv6, 128)} },
					[]string{s6}, []string{s4, other, service6.String()}},
				{"everything IPv4", func(p *Pod) { p.ExcludeCIDRs = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} },
					[]string{s4, other, mapped}, []string{s6}},
				{"another range", func(p *Pod) { p.ExcludeCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
					nil, []string{s4, s6}},
				{"a port", func(p *Pod) { p.ExcludePorts = []uint16{81} }, []string{other}, []string{s4, s6, mapped}},
				{"this user", func(p *Pod) { p.ExcludeUIDs = []uint32{0} }, []string{s4, s6, other, mapped}, nil},
				{"another user", func(p *Pod) { p.ExcludeUIDs = []uint32{4711} }, nil, []string{s4, s6}},
			} {
				t.Run(tt.name, func(t *testing.T) {
					a.t, a.pod.ExcludeCIDRs, a.pod.ExcludePorts, a.pod.ExcludeUIDs = t, nil, nil, nil
					tt.exclude(&a.pod)
					a.put()
					for _, addr := range tt.alone {
						if got := askAny(t, rig[0], addr); got != "app" {
							t.Errorf("%s: %q, want it left alone", addr, got)
						}
						if got := askAny(t, rig[1], addr); got != caught(addr) {
							t.Errorf("another pod to %s: %q", addr, got)
						}
					}
					for _, addr := range tt.kept {
						if got := askAny(t, rig[0], addr); got != caught(addr) {
							t.Errorf("%s: %q, want it caught", addr, got)
						}
					}
				})
			}
		})
	}
}

// serveApp answers "app".
func serveApp(t *testing.T, p *netnsrig.Pod, addr string) {
	t.Helper()
	l, err := p.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, func(*net.TCPConn) string { return "app" })
}

// askAny is ask, for an address that Go would change.
func askAny(t *testing.T, p *netnsrig.Pod, addr string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return connectAs(t, p, 0, host, port)
}

// connectAs connects as a user and returns what is answered.
func connectAs(t *testing.T, p *netnsrig.Pod, uid uint32, host, port string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/bash", "-c", `exec 3<>"/dev/tcp/$0/$1" && cat <&3`, host, port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := p.Start(cmd); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // what it said tells
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[len(lines)-1]
}

func TestExcludedUser(t *testing.T) {
	rig := netnsrig.Test(t, "a", "server")
	r := load(t)
	serveApp(t, rig[1], ":80")
	manage(t, r, rig[0], func(p *Pod) { p.ExcludeUIDs = []uint32{4711} })
	host := rig[1].IPv4.String()
	if got := connectAs(t, rig[0], 4711, host, "80"); got != "app" {
		t.Errorf("the excluded user: %q", got)
	}
	if got := connectAs(t, rig[0], 4712, host, "80"); got != "outbound "+host+":80" {
		t.Errorf("another user: %q", got)
	}
	if c, err := r.Counters(); err != nil || c["excluded_outbound"] != 1 {
		t.Errorf("%v, %v; want one excluded_outbound", c, err)
	}
}

// A socket whose first connect was caught and failed is no longer marked when
// its second is left alone.
func TestMarkIsTakenBack(t *testing.T) {
	rig := netnsrig.Test(t, "a", "server")
	r := load(t)
	serveApp(t, rig[1], ":80")
	m := manage(t, r, rig[0], func(p *Pod) { p.ExcludePorts = []uint16{80} })
	fds, err := m.ns.UpstreamSockets(false, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	connect := func(addr netip.Addr, port int) error {
		return unix.Connect(fds[0], &unix.SockaddrInet4{Addr: addr.As4(), Port: port})
	}
	mark := func() int {
		n, err := unix.GetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_MARK)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	connect(rig[1].IPv4, 9)
	if mark() != testMark {
		t.Fatal("the first connect was not caught")
	}
	// The proxy of this test has accepted it: let go, as an app does that tries
	// another address by the same socket.
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fds[0]), uintptr(unsafe.Pointer(&unix.RawSockaddr{Family: unix.AF_UNSPEC})), 16); errno != 0 {
		t.Fatal(errno)
	}
	connect(rig[1].IPv4, 80)
	if got := mark(); got != 0 {
		t.Errorf("mark %#x, want none", got)
	}
}

func TestRemovedPodExcludesNothing(t *testing.T) {
	rig := netnsrig.Test(t, "a")
	r := load(t)
	m := manage(t, r, rig[0], func(p *Pod) {
		p.ExcludeCIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		p.ExcludePorts, p.ExcludeUIDs = []uint16{1}, []uint32{1}
	})
	m.left = true
	if err := r.RemovePod(m.pod.ID, m.pod.Cookie); err != nil {
		t.Fatal(err)
	}
	for name, mp := range r.maps() {
		if !strings.HasPrefix(name, "weir_out_") {
			continue
		}
		var key, value []byte
		if it := mp.Iterate(); it.Next(&key, &value) {
			t.Errorf("%s has %v still", name, key)
		}
	}
}
