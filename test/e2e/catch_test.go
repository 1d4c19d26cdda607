//go:build e2e

package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
)

func modes(t *testing.T, test func(t *testing.T, mode func(*pods.Spec))) {
	for _, mode := range []pods.Mode{pods.Mark, pods.Rewrite} {
		t.Run(string(mode), func(t *testing.T) {
			test(t, func(s *pods.Spec) { s.Mode = mode })
		})
	}
}

// Outbound connections are caught, routed by HTTP or passed on by TCP, and
// arrive at the server from the client's own address.
func TestOutbound(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.client, mode)
		c4, c6 := n.client.IPv4.String(), n.client.IPv6.String()
		s4, s6 := host(n.server.IPv4), host(n.server.IPv6)
		var logged []string
		for _, tt := range []struct{ to, from, logged string }{
			{service4 + ":80", c4, "outbound " + c4 + " to " + service4 + ":80"},
			{service6 + ":80", c4, "outbound " + c6 + " to " + service6 + ":80"}, // its endpoint is IPv4
			{s4 + ":80", c4, "outbound " + c4 + " to " + s4 + ":80"},
			{s6 + ":80", c6, "outbound " + c6 + " to " + s6 + ":80"},
			{"[::ffff:" + s4 + "]:80", c4, "outbound " + c4 + " to " + s4 + ":80"},
			{s4 + ":81", c4, "outbound " + c4 + " to " + s4 + ":81"},
			{s6 + ":81", c6, "outbound " + c6 + " to " + s6 + ":81"},
			{"[::ffff:" + s4 + "]:81", c4, "outbound " + c4 + " to " + s4 + ":81"},
		} {
			n.wantCurl(n.client, "http://"+tt.to+"/", "hello "+tt.from)
			logged = append(logged, tt.logged)
		}
		n.wantLogged(logged...)
		c := n.counters()
		if caught := c["outbound_marked"] + c["outbound_rewritten"]; caught != 8 || c["bypass_socket"] == 0 || c["failed"] != 0 {
			t.Errorf("counters %v, want 8 caught: upstream connections are not", c)
		}
	})
}

// The app sees the peer that it asked for.
func TestPeerName(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.client, mode)
		for _, ip := range []string{service4, strings.Trim(service6, "[]"), "::ffff:" + service4} {
			out, err := n.client.Output(t.Context(), "python3", "-c", fmt.Sprintf(`
import socket
print(socket.create_connection((%q, 80), 5).getpeername()[:2])`, ip))
			if want := fmt.Sprintf("('%s', 80)\n", ip); err != nil || out != want {
				t.Errorf("getpeername: %q, %v; want %q", out, err, want)
			}
		}
	})
}

// Connections to a pod are caught, and passed on to the app; those to excluded
// ports are not.
func TestInbound(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.server, func(s *pods.Spec) { s.ExcludeInboundPorts = []uint16{81} })
	for _, ip := range []netip.Addr{n.server.IPv4, n.server.IPv6} {
		client := n.client.IPv4
		if ip.Is6() {
			client = n.client.IPv6
		}
		n.wantCurl(n.client, "http://"+host(ip)+":80/", "hello "+ip.String()) // from the pod itself
		n.wantCurl(n.client, "http://"+host(ip)+":81/", "hello "+client.String())
		n.wantLogged("inbound " + client.String() + " to " + host(ip) + ":80")
	}
	if c := n.counters(); c["inbound"] != 2 || c["excluded_port"] != 2 {
		t.Errorf("counters %v, want 2 inbound and 2 to the excluded port", c)
	}
	// What the pod says to itself stays in it.
	n.wantCurl(n.server, "http://"+host(n.server.IPv4)+":80/", "hello "+n.server.IPv4.String())
	n.wantCurl(n.server, "http://127.0.0.1:80/", "hello 127.0.0.1")
	if c := n.counters(); c["inbound"] != 2 {
		t.Errorf("counters %v: the pod's own connections were caught", c)
	}
}

// Both ends caught: client, its proxy, the server's, the server.
func TestBothEnds(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.client, nil)
	n.manage(n.server, nil)
	n.wantCurl(n.client, "http://"+service4+"/", "hello "+n.server.IPv4.String())
	n.wantLogged("outbound " + n.client.IPv4.String() + " to " + service4 + ":80")
	if c := n.counters(); c["outbound_marked"] != 1 || c["inbound"] != 1 {
		t.Errorf("counters %v, want the connection caught once at each end", c)
	}
}

func TestPodsComeAndGo(t *testing.T) {
	n := newNode(t)
	n.start()
	direct := "http://" + n.server.IPv4.String() + ":80/"
	for range 3 {
		n.manage(n.client, nil)
		before := n.counters()["outbound_marked"]
		n.wantCurl(n.client, direct, "hello "+n.client.IPv4.String())
		n.wantCurl(n.client, "http://"+service4+"/", "hello "+n.client.IPv4.String())
		if c := n.counters()["outbound_marked"]; c != before+2 {
			t.Errorf("%d caught, want %d", c, before+2)
		}
		if err := n.Client().RemovePod(t.Context(), "default", "client"); err != nil {
			t.Fatal(err)
		}
		n.wantCurl(n.client, direct, "hello "+n.client.IPv4.String())
		if c := n.counters()["outbound_marked"]; c != before+2 {
			t.Errorf("caught after its removal: %d, want %d", c, before+2)
		}
	}
}

func TestProxyIsUnprivileged(t *testing.T) {
	n := newNode(t)
	n.start()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Proxy.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t1337\t1337\t1337\t1337\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
}
