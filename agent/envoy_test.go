package agent

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

const envoyBootstrap = `
static_resources:
  listeners:
  - name: outbound4
    address: {socket_address: {address: %[1]q, port_value: 15001}}
    listener_filters: &filters
    - name: envoy.filters.listener.original_dst
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}
    filter_chains: &chains
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: outbound
          cluster: original_dst
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: %[3]s
              log_format: {text_format_source: {inline_string: "%%DOWNSTREAM_LOCAL_ADDRESS%% %%UPSTREAM_HOST%%\n"}}
  - name: outbound6
    address: {socket_address: {address: %[2]q, port_value: 15001}}
    listener_filters: *filters
    filter_chains: *chains
  clusters:
  - name: original_dst
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    connect_timeout: 2s
`

// Envoy as it is, in the pod and in place of weir, is told the original
// destination by rewriting mode: by SO_ORIGINAL_DST, as from netfilter.
func TestEnvoyInPlaceOfWeir(t *testing.T) {
	netnsrig.RequireRoot(t)
	envoy, err := exec.LookPath("envoy")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must have envoy")
		}
		t.Skip("no envoy in PATH")
	}
	rig := netnsrig.Test(t, "a", "server")
	a, server := rig[0], rig[1]
	sidecar, err := a.Sidecar("envoy")
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	n.opts.MaxSilence = time.Millisecond // Envoy does not beat, and need not
	n.startAgent()
	n.addPod(a, func(s *pods.Spec) {
		no := false
		s.Mode, s.Inbound, s.ProxyCgroup = pods.Rewrite, &no, sidecar.Cgroup
	})

	log := filepath.Join(t.TempDir(), "access.log")
	bootstrap := fmt.Sprintf(envoyBootstrap, a.IPv4, a.IPv6, log)
	cmd := exec.CommandContext(t.Context(), envoy, "--config-yaml", bootstrap, "--base-id", fmt.Sprint(os.Getpid()%1000),
		"--concurrency", "1", "--log-level", "warn", "--file-flush-interval-msec", "10")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := sidecar.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	n.eventually("envoy listens", func() bool {
		c, err := sidecar.Dial(t.Context(), "tcp", netip.AddrPortFrom(a.IPv6, 15001).String())
		if err != nil {
			return false
		}
		c.Close()
		return true
	})

	serve(t, server, ":80", "server")
	var want []string
	for _, ip := range []netip.Addr{server.IPv4, server.IPv6} {
		addr := net.JoinHostPort(ip.String(), "80")
		own := a.IPv4
		if ip.Is6() {
			own = a.IPv6
		}
		wantAnswer(t, a, addr, "server to "+own.String())
		want = append(want, addr+" "+addr)
	}
	out, err := a.Output(t.Context(), "python3", "-c", fmt.Sprintf(`
import socket
s = socket.create_connection(("::ffff:%s", 80), 3)
print(s.recv(100).decode(), "as", s.getpeername()[0], end="")`, server.IPv4))
	if w := fmt.Sprintf("server to %s as ::ffff:%s", a.IPv4, server.IPv4); err != nil || out != w {
		t.Errorf("by a mapped address: %q, %v; want %q", out, err, w)
	}
	want = append(want, want[0])
	var lines []string
	n.eventually("envoy has logged", func() bool {
		text, _ := os.ReadFile(log)
		lines = nil
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, ":15001") { // the probe above
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return len(lines) >= len(want)
	})
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("envoy saw %q, want %q", lines[i], want[i])
		}
	}
	if got := n.status().Counters["outbound_rewritten"]; got != uint64(len(want)) {
		t.Errorf("%d connections rewritten, want %d: envoy's own are not caught", got, len(want))
	}
}
