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

// The pod's program sees the client's address, although the proxy connects to
// it, and every connection is caught once.
func TestKeepClientAddress(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.server, func(s *pods.Spec) { mode(s); s.KeepClientAddress = true })
		other := n.newPod("other")
		requests := uint64(0)
		for _, client := range []struct{ ip4, ip6 netip.Addr }{{n.client.IPv4, n.client.IPv6}, {other.IPv4, other.IPv6}} {
			from := n.client
			if client.ip4 == other.IPv4 {
				from = other
			}
			for range 3 {
				n.wantCurl(from, "http://"+host(n.server.IPv4)+":80/", "hello "+client.ip4.String())
				n.wantCurl(from, "http://"+host(n.server.IPv6)+":80/", "hello "+client.ip6.String())
				requests += 2
			}
			n.wantLogged("inbound " + client.ip4.String() + " to " + host(n.server.IPv4) + ":80")
		}
		if c := n.counters(); c["inbound"] != requests || c["failed"] != 0 {
			t.Errorf("counters %v, want %d inbound", c, requests)
		}
		// What the pod itself connects to is caught as ever.
		n.wantCurl(n.server, "http://"+service4+"/", "hello "+n.server.IPv4.String())
		n.wantCurl(n.server, "http://127.0.0.1:80/", "hello 127.0.0.1")

		// Large answers come back whole: the routes are right in both directions.
		if got := n.curl(n.client, "http://"+host(n.server.IPv4)+":80/", "-H", "X: "+strings.Repeat("x", 60000)); !strings.HasPrefix(got, "hello ") {
			t.Errorf("a large request: %s", got)
		}
		if err := n.Client().RemovePod(t.Context(), "default", "server"); err != nil {
			t.Fatal(err)
		}
		n.wantCurl(n.client, "http://"+host(n.server.IPv4)+":80/", "hello "+n.client.IPv4.String())
		if out, err := n.server.Output(t.Context(), "sh", "-c", "cat /proc/sys/net/ipv4/tcp_fwmark_accept; ip rule | grep -c fwmark"); strings.TrimSpace(out) != "0\n0" {
			t.Errorf("left in the pod: %q, %v", out, err)
		}
	})
}

// A cluster that names the app by loopback keeps the address as well.
func TestKeepClientAddressByLoopback(t *testing.T) {
	n := newNode(t)
	n.startAgent()
	text := strings.ReplaceAll(loopbackBootstrap, "ACCESS_LOG", n.accessLog())
	if err := n.StartProxy(t.Context(), text, "--concurrency", "1"); err != nil {
		t.Fatal(err)
	}
	n.manage(n.server, func(s *pods.Spec) { s.KeepClientAddress = true })
	for _, from := range []string{"client", "another"} {
		p := n.client
		if from == "another" {
			p = n.newPod(from)
		}
		for range 2 { // the second by a pooled connection, of this client's
			n.wantCurl(p, "http://"+host(n.server.IPv4)+":80/", "hello "+p.IPv4.String())
		}
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Proxy.PID())); err != nil || !strings.Contains(string(text), "CapEff:\t0000000000000000\n") {
		t.Errorf("the proxy has capabilities: %v", err)
	}
}

const loopbackBootstrap = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: outbound
    bind_to_port: false
    address: {socket_address: {address: 0.0.0.0, port_value: 15001}}
    filter_chains: [{filters: [{name: envoy.filters.network.tcp_proxy, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: out, cluster: app}}]}]
  - name: inbound
    bind_to_port: false
    address: {socket_address: {address: 0.0.0.0, port_value: 15006}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: inbound
          route_config:
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: app
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]
`
