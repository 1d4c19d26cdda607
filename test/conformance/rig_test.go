//go:build e2e

package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/testbinary"
)

func TestMain(m *testing.M) {
	if port := os.Getenv(hopFor); port != "" {
		serveBehindWeir()
		return
	}
	testbinary.Main(m)
}

// proxy is a running weir.
type proxy struct {
	port, admin int
	cmd         *exec.Cmd
}

// options are what a test's bootstrap has beyond the least.
type options struct {
	upstream  int    // its port
	http2     bool   // what the upstream speaks
	manager   string // further fields of the connection manager
	filters   string // HTTP filters before the router, each with a comma behind
	cluster   string // and of the cluster
	codecType string // AUTO
	args      []string
}

// bootstrap is a listener whose requests all go to one cluster.
func (o options) bootstrap(port, admin int) string {
	protocol := ""
	if o.http2 {
		protocol = `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}`
	}
	codec := o.codecType
	if codec == "" {
		codec = "AUTO"
	}
	return fmt.Sprintf(`
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          codec_type: %s
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: c, timeout: 0s}}]}]}
          http_filters: [%s{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          %s
  clusters:
  - name: c
    connect_timeout: 5s
    load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}
    %s
    %s
`, admin, port, codec, o.filters, o.manager, o.upstream, protocol, o.cluster)
}

// start runs weir until ctx ends.
func (o options) start(ctx context.Context, dir string) (*proxy, error) {
	weir, err := testbinary.Weir()
	if err != nil {
		return nil, err
	}
	p := &proxy{port: freePort(), admin: freePort()}
	file := filepath.Join(dir, "bootstrap.yaml")
	if err := os.WriteFile(file, []byte(o.bootstrap(p.port, p.admin)), 0o600); err != nil {
		return nil, err
	}
	p.cmd = exec.CommandContext(ctx, weir, "proxy", "-c", file, "--concurrency", "1", "-l", "error")
	p.cmd.Args = append(p.cmd.Args, o.args...)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := nethttp.Get(fmt.Sprintf("http://127.0.0.1:%d/ready", p.admin))
		if err == nil {
			r.Body.Close()
			if r.StatusCode == 200 {
				return p, nil
			}
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("weir is not ready after 15 s: %v", err)
		}
	}
}

func startWeir(t *testing.T, o options) *proxy {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	p, err := o.start(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); p.cmd.Wait() })
	return p
}

// stat is a statistic's value as the admin page shows it.
func (p *proxy) stat(t *testing.T, name string) string {
	t.Helper()
	r, err := nethttp.Get(fmt.Sprintf("http://127.0.0.1:%d/stats?filter=%s", p.admin, regexp.QuoteMeta(name)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	for line := range strings.Lines(string(b)) {
		if n, v, _ := strings.Cut(strings.TrimSpace(line), ": "); n == name {
			return v
		}
	}
	return ""
}

// address is where the proxy listens.
func (p *proxy) address() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// tool builds a program of another module at a fixed version.
func tool(t *testing.T, pkg, version string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "install", pkg+"@"+version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s can't be had: %v\n%s", pkg, err, out)
		}
		t.Skipf("%s can't be had: %v", pkg, err)
	}
	return filepath.Join(dir, filepath.Base(pkg))
}
