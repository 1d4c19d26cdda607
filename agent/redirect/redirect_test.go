package redirect

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// modes runs a test in both outbound modes.
func modes(t *testing.T, test func(t *testing.T, rewrite func(*Pod))) {
	for _, mode := range []string{"mark", "rewrite"} {
		t.Run(mode, func(t *testing.T) {
			test(t, func(p *Pod) { p.Rewrite = mode == "rewrite" })
		})
	}
}

func TestOutboundKeepsOriginalDestination(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a")
		a := manage(t, load(t), pods[0], mode)
		wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
		wantAnswer(t, a.Pod, service6.String(), "outbound "+service6.String())
	})
}

// A program that uses IPv6 sockets for all reaches IPv4 by mapped addresses.
const mappedClient = `
import socket, sys
s = socket.socket(socket.AF_INET6)
s.settimeout(60)
s.connect(("::ffff:203.0.113.9", 80))
print(s.recv(100).decode(), s.getpeername()[0])`

func TestMappedAddress(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a")
		a := manage(t, load(t), pods[0], mode)
		out, err := a.Output(t.Context(), "python3", "-c", mappedClient)
		if want := "outbound 203.0.113.9:80 ::ffff:203.0.113.9\n"; err != nil || out != want {
			t.Errorf("%q, %v; want %q", out, err, want)
		}
	})
}

func TestOwnAddressesAreLeftAlone(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a")
		a := manage(t, load(t), pods[0], mode)
		a.serve(":8080")
		for _, host := range []string{"127.0.0.1", "::1", a.IPv4.String(), a.IPv6.String()} {
			wantAnswer(t, a.Pod, net.JoinHostPort(host, "8080"), "app")
		}
	})
}

func TestOthersAreLeftAlone(t *testing.T) {
	pods := netnsrig.Test(t, "a", "b", "server")
	r := load(t)
	a := manage(t, r, pods[0], nil)
	l, err := pods[2].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, func(c *net.TCPConn) string { return "server" })
	server := net.JoinHostPort(pods[2].IPv4.String(), "80")
	wantAnswer(t, a.Pod, server, "outbound "+server)
	wantAnswer(t, pods[1], server, "server")
	if err := r.RemovePod(a.pod.ID, a.pod.Cookie); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, a.Pod, server, "server")
}

func TestInbound(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a", "client")
		a := manage(t, load(t), pods[0], func(p *Pod) { mode(p); p.ExcludeInbound = []uint16{9090} })
		a.serve(":8080")
		a.serve(":9090")
		for _, ip := range []string{a.IPv4.String(), a.IPv6.String()} {
			addr := net.JoinHostPort(ip, "8080")
			wantAnswer(t, pods[1], addr, "inbound "+addr)
			wantAnswer(t, pods[1], net.JoinHostPort(ip, "9090"), "app")
		}
		a.pod.Inbound = false
		a.put()
		wantAnswer(t, pods[1], net.JoinHostPort(a.IPv4.String(), "8080"), "app")
	})
}

func TestUpstreamSocketsBypass(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a", "server")
		r := load(t)
		a := manage(t, r, pods[0], mode)
		l, err := pods[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		answer(t, l, func(c *net.TCPConn) string { return "server saw " + c.RemoteAddr().(*net.TCPAddr).IP.String() })
		fds, err := a.ns.UpstreamSockets(false, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Bypass(fds[0]); err != nil {
			t.Fatal(err)
		}
		syscall.SetNonblock(fds[0], false)
		f := os.NewFile(uintptr(fds[0]), "upstream")
		defer f.Close()
		if err := syscall.Connect(fds[0], &syscall.SockaddrInet4{Port: 80, Addr: pods[1].IPv4.As4()}); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if want := "server saw " + a.IPv4.String(); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		counters, err := r.Counters()
		if err != nil || counters["bypass_socket"] != 1 {
			t.Errorf("counters %v, %v; want bypass_socket 1", counters, err)
		}
	})
}

// A process may bind its socket to a device without privilege; it must not
// get past the proxy so.
func TestDeviceBoundSocketIsCaught(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a")
		a := manage(t, load(t), pods[0], mode)
		out, err := a.Output(t.Context(), "python3", "-c", `
import socket
s = socket.socket()
s.settimeout(60)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.connect(("203.0.113.9", 80))
print(s.recv(100).decode())`)
		if want := "outbound 203.0.113.9:80\n"; err != nil || out != want {
			t.Errorf("%q, %v; want %q", out, err, want)
		}
	})
}

// Rewriting shares the proxy's one address among all destinations, so a
// pod runs out of ports where marking does not.
func TestMarkingDoesNotExhaustPorts(t *testing.T) {
	pods := netnsrig.Test(t, "a")
	a := manage(t, load(t), pods[0], nil)
	if out, err := a.Output(t.Context(), "sh", "-c", "echo 50000 50049 > /proc/sys/net/ipv4/ip_local_port_range"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const conns = 120 // over 50 ports
	for i := range conns {
		addr := fmt.Sprintf("203.0.113.%d:80", i+1)
		c, err := a.Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
	}
}

// Distributions filter by reverse path; marked connections come from lo.
func TestStrictReversePath(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*Pod)) {
		pods := netnsrig.Test(t, "a", "client")
		a := manage(t, load(t), pods[0], mode)
		out, err := a.Output(t.Context(), "sh", "-c", "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 > $f; done")
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		wantAnswer(t, a.Pod, service4.String(), "outbound "+service4.String())
		addr := net.JoinHostPort(a.IPv4.String(), "8080")
		wantAnswer(t, pods[1], addr, "inbound "+addr)
	})
}

func TestProxyCgroupIsNotCaught(t *testing.T) {
	pods := netnsrig.Test(t, "a", "server")
	id, err := cgroupID(pods[0])
	if err != nil {
		t.Fatal(err)
	}
	a := manage(t, load(t), pods[0], func(p *Pod) { p.ProxyCgroup = id })
	l, err := pods[1].Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, func(*net.TCPConn) string { return "server" })
	server := net.JoinHostPort(pods[1].IPv4.String(), "80")
	out, err := a.Output(t.Context(), "curl", "-s", "--http0.9", server) // runs in the pod's cgroup
	if err != nil || out != "server" {
		t.Errorf("from the proxy's cgroup: %q, %v", out, err)
	}
	wantAnswer(t, a.Pod, server, "outbound "+server) // runs in the test's cgroup
}

func TestUDPIsLeftAlone(t *testing.T) {
	pods := netnsrig.Test(t, "a")
	r := load(t)
	a := manage(t, r, pods[0], nil)
	c, err := a.Dial(t.Context(), "udp", service4.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if counters, err := r.Counters(); err != nil || counters["outbound_marked"] != 0 {
		t.Errorf("counters %v, %v", counters, err)
	}
}

func TestFlows(t *testing.T) {
	pods := netnsrig.Test(t, "a", "client")
	r := load(t)
	a := manage(t, r, pods[0], nil)
	flows, err := Observe(r.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Output(t.Context(), "curl", "-s", "--http0.9", "http://203.0.113.9"); err != nil {
		t.Fatal(err)
	}
	ask(t, pods[1], net.JoinHostPort(a.IPv6.String(), "8080"))
	out, err := flows.Next()
	if err != nil {
		t.Fatal(err)
	}
	if out.Verdict != "marked" || out.Destination != service4 || out.Command != "curl" || out.PID == 0 || out.PodID != a.pod.ID {
		t.Errorf("outbound flow %+v", out)
	}
	in, err := flows.Next()
	if err != nil {
		t.Fatal(err)
	}
	if in.Verdict != "inbound" || in.Destination.Addr() != a.IPv6 || in.Destination.Port() != 8080 || in.Client != pods[1].IPv6 {
		t.Errorf("inbound flow %+v", in)
	}
	if err := flows.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := flows.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// People look at the maps with bpftool: names, addresses and ports must show.
func TestMapsAreReadable(t *testing.T) {
	pods := netnsrig.Test(t, "a")
	r := load(t)
	a := manage(t, r, pods[0], nil)
	out, err := exec.Command("bpftool", "map", "dump", "pinned", filepath.Join(r.Dir(), "weir_pods")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ip4 := a.IPv4.As4()
	for _, want := range []string{
		`"name": "test/a"`, `"outbound4_port": 15001`, fmt.Sprintf(`"ip4": [%d,%d,%d,%d`, ip4[0], ip4[1], ip4[2], ip4[3]),
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}
