//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
)

// Destinations that would lead a pod to the node itself, or the proxy to
// itself, are refused before anything is connected.
func TestRefusedDestinations(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.client, mode)
		n.manage(n.server, mode)
		admin := n.AdminAddr() // on the node's loopback: the prize
		_, adminPort, _ := strings.Cut(admin, ":")
		gateway4, gateway6 := n.Rig.Gateway4.String(), host(n.Rig.Gateway6)
		invalid := 0
		for _, tt := range []struct {
			name, url, header string
			invalid           int // destinations that the guard refuses
		}{
			{"the node", "http://" + gateway4 + ":" + adminPort + "/", "", 1},
			{"the node, IPv6", "http://" + gateway6 + ":" + adminPort + "/", "", 1},
			{"the node, mapped", "http://[::ffff:" + gateway4 + "]:" + adminPort + "/", "", 1},
			{"the node, HTTP", "http://" + gateway4 + ":80/", "", 1},
		} {
			got := n.curl(n.client, tt.url, "-o", "/dev/null", "-w", "%{http_code}")
			if !strings.HasPrefix(got, "000") && !strings.HasPrefix(got, "503") && !strings.Contains(got, "curl: (52)") && !strings.Contains(got, "curl: (56)") {
				t.Errorf("%s: %q", tt.name, got)
			}
			invalid += tt.invalid
		}
		if got := n.stat("cluster.original_dst.original_dst_host_invalid"); got != "4" {
			t.Errorf("%s destinations refused, want %d", got, invalid)
		}
		for _, dst := range []string{admin, "[::1]:" + adminPort, "[::ffff:127.0.0.1]:" + adminPort, "0.0.0.0:" + adminPort, gateway4 + ":" + adminPort} {
			got := n.curl(n.client, "http://"+n.server.IPv4.String()+":80/by-header", "-H", "x-envoy-original-dst-host: "+dst, "-w", " %{http_code}")
			if !strings.HasSuffix(got, " 503") {
				t.Errorf("by header to %s: %q", dst, got)
			}
		}
		if got := n.stat("cluster.by_header.original_dst_host_invalid"); got != "5" {
			t.Errorf("%s destinations refused by header, want 5", got)
		}
	})
}

// Who connects to weir's own listeners, in the own pod or another, is turned
// away, and above all weir does not connect to itself again and again.
func TestOwnListeners(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.client, mode)
		n.manage(n.server, mode)
		for _, ip := range []string{n.client.IPv4.String(), n.server.IPv4.String(), host(n.client.IPv6), host(n.server.IPv6)} {
			for _, port := range []string{"15001", "15006"} {
				got := n.curl(n.client, "http://"+ip+":"+port+"/", "-o", "/dev/null", "-w", "%{http_code}")
				if strings.HasPrefix(got, "200") {
					t.Errorf("%s:%s answered %q", ip, port, got)
				}
			}
		}
		c := n.counters()
		if total := c["outbound_marked"] + c["outbound_rewritten"] + c["inbound"]; total > 20 {
			t.Errorf("8 connections were caught %d times: a loop", total)
		}
	})
}
