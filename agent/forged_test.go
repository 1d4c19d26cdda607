package agent

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// python runs a script in the pod, with every capability that a pod can have.
// It finds a socket s, and prints what it reads from it.
func python(t *testing.T, p *netnsrig.Pod, script string) string {
	t.Helper()
	out, err := p.Output(t.Context(), "python3", "-c", `
import socket, struct
SO_MARK, IP_TRANSPARENT, IPPROTO_MPTCP, MSG_FASTOPEN = 36, 19, 262, 0x20000000
s = socket.socket()
s.settimeout(5)
`+script)
	if err != nil && out == "" {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1] // of an exception: which it was
}

// What a pod may try to slip past the proxy, with CAP_NET_RAW and
// CAP_NET_ADMIN even: it is caught all the same.
func TestForgedMarks(t *testing.T) {
	const connect = `s.connect(("203.0.113.9", 80))
print(s.recv(100).decode())`
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "server")
		a, server := rig[0], rig[1]
		n := newNode(t)
		n.startAgent()
		n.startProxy()
		n.addPod(a, mode)
		serve(t, server, ":80", "escaped")
		caught := "outbound " + net.JoinHostPort(server.IPv4.String(), "80")
		for name, script := range map[string]string{
			"no mark":             "",
			"the mark itself":     fmt.Sprintf("s.setsockopt(socket.SOL_SOCKET, SO_MARK, %d)\n", routeMark),
			"another mark":        "s.setsockopt(socket.SOL_SOCKET, SO_MARK, 0x1337)\n",
			"bound to a device":   "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')\n",
			"bound to an address": fmt.Sprintf("s.bind((%q, 0))\n", a.IPv4),
			"a tried connection":  "s.settimeout(None)\ns.connect_ex(('127.0.0.1', 1))\n",
			"MPTCP":               "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)\n",
		} {
			script += strings.ReplaceAll(connect, "203.0.113.9", server.IPv4.String())
			if got := python(t, a, script); got != caught {
				t.Errorf("%s: %q, want %q", name, got, caught)
			}
		}
		// The SYN brings data: there is no connect(2).
		fastopen := fmt.Sprintf("s.settimeout(None)\ns.sendto(b'x', MSG_FASTOPEN, (%q, 80))\nprint(s.recv(100).decode())", server.IPv4)
		if got := python(t, a, fastopen); got != caught {
			t.Errorf("TCP fast open: %q, want %q", got, caught)
		}
	})
}

// A mark does not make a pod's connection to the agent's listeners look like
// the proxy's own, or like one that was caught for somebody else.
func TestForgedMarkToTheListeners(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "b")
		a, b := rig[0], rig[1]
		n := newNode(t)
		n.startAgent()
		n.startProxy()
		n.addPod(a, mode)
		n.addPod(b, mode)
		for _, port := range []int{pods.DefaultOutboundPort, pods.DefaultInboundPort} {
			for _, to := range []*netnsrig.Pod{a, b} {
				own := net.JoinHostPort(to.IPv4.String(), fmt.Sprint(port))
				for _, from := range []struct {
					mark   int
					source string
				}{{0, ""}, {routeMark, ""}, {routeMark, "203.0.113.7"}} { // the last is foreign: IP_TRANSPARENT lets it
					got := python(t, a, forge(from.mark, from.source, to.IPv4.String(), port))
					direction, dst, answered := strings.Cut(got, " ")
					if answered && (direction == "outbound" || direction == "inbound") && dst != own && dst != notRewritten {
						t.Errorf("mark %#x from %q to %s: %q: another destination than its own", from.mark, from.source, own, got)
					}
				}
			}
		}
	})
}

// notRewritten is what SO_ORIGINAL_DST says of a connection that nobody caught.
const notRewritten = "no such file or directory"

func forge(mark int, source, to string, port int) string {
	script := fmt.Sprintf("s.settimeout(.5)\ns.setsockopt(socket.SOL_SOCKET, SO_MARK, %d)\n", mark)
	if source != "" {
		script += fmt.Sprintf("s.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)\ns.bind((%q, 0))\n", source)
	}
	return script + fmt.Sprintf("s.connect((%q, %d))\nprint(s.recv(100).decode())", to, port)
}
