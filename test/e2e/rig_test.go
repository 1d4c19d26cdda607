//go:build e2e

package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/noderig"
	"github.com/weirproxy/weir/internal/testbinary"
)

// Addresses that nobody has: a service's.
const (
	service4 = "203.0.113.9"
	service6 = "[2001:db8::9]"
)

func TestMain(m *testing.M) { testbinary.Main(m) }

// node is a node with two pods: a client and a server. The server listens on
// ports 80 and 81 and tells who connects.
type node struct {
	*noderig.Node
	t              *testing.T
	client, server *netnsrig.Pod
	clientFirst    bool // the proxy's outbound listener asks for clients' first bytes
}

func newNode(t *testing.T) *node {
	t.Helper()
	netnsrig.RequireRoot(t)
	weir, err := testbinary.Weir()
	if err != nil {
		t.Fatal(err)
	}
	rig, err := noderig.New(weir, "weir-"+strings.ReplaceAll(t.Name(), "/", "-"), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(); err != nil {
			t.Error(err)
		}
	})
	n := &node{Node: rig, t: t}
	n.client, n.server = n.newPod("client"), n.newPod("server")
	for _, port := range []string{":80", ":81"} {
		n.serve(n.server, port)
	}
	return n
}

// start starts the agent and the proxy.
func (n *node) start() {
	n.t.Helper()
	n.startAgent()
	n.startProxy()
}

func (n *node) startAgent() {
	n.t.Helper()
	if err := n.StartAgent(n.t.Context(), "--max-silence", "1m"); err != nil {
		n.t.Fatal(err)
	}
}

//go:embed testdata/node.yaml
var bootstrap string

func (n *node) startProxy(args ...string) {
	n.t.Helper()
	var text strings.Builder
	err := template.Must(template.New("").Parse(bootstrap)).Execute(&text, struct {
		AccessLog   string
		Server      netip.Addr
		ClientFirst bool
	}{n.accessLog(), n.server.IPv4, n.clientFirst})
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.StartProxy(n.t.Context(), text.String(), append(args, "--concurrency", "2")...); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) newPod(name string) *netnsrig.Pod {
	n.t.Helper()
	p, err := n.Rig.AddPod(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// serve answers "hello IP" on every connection, HTTP or not, where IP is the
// address that it comes from.
func (n *node) serve(p *netnsrig.Pod, addr string) {
	n.t.Helper()
	l, err := p.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { l.Close() })
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "hello %s\n", ip)
	}))
}

// manage has the agent catch a pod.
func (n *node) manage(p *netnsrig.Pod, change func(*pods.Spec)) {
	n.t.Helper()
	spec := pods.Spec{Name: p.Name, Netns: p.Netns, Cgroup: p.Cgroup}
	if change != nil {
		change(&spec)
	}
	if err := n.Client().AddPod(n.t.Context(), spec); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) accessLog() string { return filepath.Join(n.ProxyDir, "access.log") }

// wantLogged waits until the access log has these lines, in any order.
func (n *node) wantLogged(want ...string) {
	n.t.Helper()
	n.eventually("the access log has\n"+strings.Join(want, "\n"), func() bool {
		text, _ := os.ReadFile(n.accessLog())
		have := map[string]int{}
		for line := range strings.Lines(string(text)) {
			have[strings.TrimSpace(line)]++
		}
		for _, line := range want {
			if have[line]--; have[line] < 0 {
				return false
			}
		}
		return true
	})
}

func (n *node) counters() map[string]uint64 {
	n.t.Helper()
	s, err := n.Client().Status(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Counters
}

// stat is a statistic of the proxy.
func (n *node) stat(name string) string {
	n.t.Helper()
	page, err := n.Admin(n.t.Context(), "/stats?filter=^"+name+"$")
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(page, name+": "))
}

// patience is ample for a machine that does much else, or that is emulated.
const patience = 2 * time.Minute

func (n *node) eventually(what string, is func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	text, _ := os.ReadFile(n.accessLog())
	n.t.Fatalf("not in time: %s\naccess log:\n%s", what, text)
}

// curl is a pod's plain curl; the answer, or what curl says.
func (n *node) curl(p *netnsrig.Pod, url string, args ...string) string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	out, err := p.Output(ctx, "curl", append(args, "-sSg", "-m", "60", url)...)
	if err != nil && out == "" {
		out = err.Error()
	}
	return strings.TrimSpace(out)
}

func (n *node) wantCurl(p *netnsrig.Pod, url, want string, args ...string) {
	n.t.Helper()
	if got := n.curl(p, url, args...); got != want {
		n.t.Errorf("curl %s in %s: %q, want %q", url, p.Name, got, want)
	}
}

// host is an address as URLs have it.
func host(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}
