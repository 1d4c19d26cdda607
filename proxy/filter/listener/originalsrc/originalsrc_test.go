package originalsrc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/proxy/filter"
	"github.com/weirproxy/weir/proxy/listener"
)

const config = `
static_resources:
  listeners:
  - name: tcp
    address: {socket_address: {address: "%[1]s", port_value: 8000}}
    listener_filters: [{name: o, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc, mark: 123}}]
    filter_chains: [{filters: [{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: server}}]}]
  - name: http
    address: {socket_address: {address: "%[1]s", port_value: 8001}}
    listener_filters: [{name: o, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc}}]
    filter_chains: [{filters: [{name: h, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: h,
      route_config: {virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: server}}]}]},
      http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]
  clusters:
  - name: server
    load_assignment: {cluster_name: server, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: "%[2]s", port_value: 80}}}}]}]}
`

// TestUpstreamSeesTheClient has two clients, the proxy and the server in
// namespaces of their own: the server sees the clients' addresses, and its
// answers come back by the proxy.
func TestUpstreamSeesTheClient(t *testing.T) {
	pods := netnsrig.Test(t, "one", "two", "proxy", "server")
	clients, proxy, server := pods[:2], pods[2], pods[3]
	weir := build(t)
	for _, family := range []struct {
		ip    string // ip's flag
		all   string
		bits  int
		local func(*netnsrig.Pod) netip.Addr
	}{
		{"-4", "0.0.0.0/0", 32, func(p *netnsrig.Pod) netip.Addr { return p.IPv4 }},
		{"-6", "::/0", 128, func(p *netnsrig.Pod) netip.Addr { return p.IPv6 }},
	} {
		t.Run(family.ip, func(t *testing.T) {
			// What the server sends to the clients goes to the proxy, which
			// takes all that comes from outside for its own.
			run(t, proxy, "ip", family.ip, "rule", "add", "iif", "eth0", "lookup", "100")
			run(t, proxy, "ip", family.ip, "route", "add", "local", family.all, "dev", "lo", "table", "100")
			for _, c := range clients {
				run(t, server, "ip", family.ip, "route", "add", fmt.Sprintf("%v/%d", family.local(c), family.bits), "via", family.local(proxy).String())
			}
			serve(t, server, netip.AddrPortFrom(family.local(server), 80))
			start(t, proxy, weir, fmt.Sprintf(config, family.local(proxy), family.local(server)))
			for _, c := range clients {
				for _, port := range []string{"8000", "8001"} {
					for range 2 {
						want := family.local(c).String()
						if got := ask(t, c, net.JoinHostPort(family.local(proxy).String(), port)); got != want {
							t.Errorf("port %s: the server sees %s, want %s", port, got, want)
						}
					}
				}
			}
		})
	}
}

func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/weirproxy/weir/cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func run(t *testing.T, p *netnsrig.Pod, name string, args ...string) {
	t.Helper()
	if out, err := p.Output(context.Background(), name, args...); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// serve answers each request with the address that it came from.
func serve(t *testing.T, p *netnsrig.Pod, at netip.AddrPort) {
	t.Helper()
	l, err := p.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := netip.ParseAddrPort(r.RemoteAddr)
		io.WriteString(w, from.Addr().String())
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

func start(t *testing.T, p *netnsrig.Pod, weir, bootstrap string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.yaml")
	if err := os.WriteFile(file, []byte(bootstrap), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(weir, "proxy", "-c", file, "--concurrency", "1", "-l", "error")
	cmd.Stderr = os.Stderr
	if err := p.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// ask asks until the proxy listens.
func ask(t *testing.T, p *netnsrig.Pod, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		c, err := p.Dial(ctx, "tcp", addr)
		if err != nil && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
}

func TestBindPortIsRefused(t *testing.T) {
	r := listenerrig.New(t, listenerrig.Options{Factories: &listener.Factories{Listener: filter.Listener()}})
	err := r.Add(`
name: a
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
listener_filters: [{name: o, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc, bind_port: true}}]
filter_chains: [{filters: [` + listenerrig.Echo("x") + `]}]
`)
	if err == nil || !strings.Contains(err.Error(), "bind_port") {
		t.Fatalf("error %v", err)
	}
}
