package agent

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// attempt is Python that makes something of the socket s before it connects.
type attempt struct {
	name    string
	prepare string
	connect string // default: a plain connect
}

// try has the pod, with every capability that a pod can have, connect in each
// of these ways, and returns the answers, or the errors.
func try(t *testing.T, p *netnsrig.Pod, to string, attempts []attempt) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(to)
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`
import socket
SO_MARK, IP_TRANSPARENT, IPPROTO_MPTCP, MSG_FASTOPEN = 36, 19, 262, 0x20000000
to = (%q, %s)
def attempt(prepare, connect):
    try:
        s = socket.socket()
        scope = dict(globals(), s=s)
        exec(prepare, scope)
        s = scope["s"]
        exec(connect, scope)
        s.settimeout(60)
        return s.recv(100).decode()
    except OSError as e:
        return str(e)
`, host, port)
	for _, a := range attempts {
		if a.connect == "" {
			a.connect = "s.connect(to)"
		}
		script += fmt.Sprintf("print(attempt(%q, %q))\n", a.prepare, a.connect)
	}
	out, err := p.Output(t.Context(), "python3", "-c", script)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if err != nil || len(lines) != len(attempts) {
		t.Fatalf("%v: %s", err, out)
	}
	return lines
}

// What a pod may try to slip past the proxy, with CAP_NET_RAW and
// CAP_NET_ADMIN even: it is caught all the same.
func TestForgedMarks(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "server")
		a, server := rig[0], rig[1]
		n := newNode(t)
		n.startAgent()
		n.startProxy()
		n.addPod(a, mode)
		serve(t, server, ":80", "escaped")
		attempts := []attempt{
			{name: "no mark"},
			{name: "the mark itself", prepare: fmt.Sprintf("s.setsockopt(socket.SOL_SOCKET, SO_MARK, %d)", routeMark)},
			{name: "another mark", prepare: "s.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1337)"},
			{name: "bound to a device", prepare: "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')"},
			{name: "bound to an address", prepare: fmt.Sprintf("s.bind((%q, 0))", a.IPv4)},
			{name: "connected before", prepare: "s.connect_ex(('127.0.0.1', 1))"},
			{name: "MPTCP", prepare: "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)"},
			// The SYN brings data: there is no connect(2).
			{name: "TCP fast open", connect: "s.sendto(b'x', MSG_FASTOPEN, to)"},
		}
		to := net.JoinHostPort(server.IPv4.String(), "80")
		for i, got := range try(t, a, to, attempts) {
			if want := "outbound " + to; got != want {
				t.Errorf("%s: %q, want %q", attempts[i].name, got, want)
			}
		}
	})
}

// A mark does not make a pod's connection to the agent's listeners look like
// the proxy's own, or like one that was caught for somebody else.
func TestForgedMarkToTheListeners(t *testing.T) {
	mark := fmt.Sprintf("s.settimeout(.5)\ns.setsockopt(socket.SOL_SOCKET, SO_MARK, %d)", routeMark)
	attempts := []attempt{
		{name: "no mark"},
		{name: "the mark", prepare: mark},
		{name: "the mark, from a foreign address", prepare: mark + "\ns.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)\ns.bind(('203.0.113.7', 0))"},
	}
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "b")
		n := newNode(t)
		n.startAgent()
		n.startProxy()
		for _, p := range rig {
			n.addPod(p, mode)
		}
		for _, to := range rig {
			for _, port := range []int{pods.DefaultOutboundPort, pods.DefaultInboundPort} {
				own := net.JoinHostPort(to.IPv4.String(), fmt.Sprint(port))
				for i, got := range try(t, rig[0], own, attempts) {
					direction, dst, _ := strings.Cut(got, " ")
					if (direction == "outbound" || direction == "inbound") && dst != own && dst != notRewritten {
						t.Errorf("%s, to %s: %q: another destination than its own", attempts[i].name, own, got)
					}
				}
			}
		}
	})
}

// notRewritten is what SO_ORIGINAL_DST says of a connection that nobody caught.
const notRewritten = "no such file or directory"
