//go:build e2e

package e2e

import (
	_ "embed"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/weirproxy/weir/agent/pods"
)

//go:embed testdata/identity.yaml
var identityBootstrap string

// The proxy knows whose connection it is and who is at the other end: access
// logs, access rules and statistics go by it.
func TestIdentity(t *testing.T) {
	n := newNode(t)
	n.startAgent()
	bootstrap := strings.ReplaceAll(identityBootstrap, "ACCESS_LOG", n.accessLog())
	if err := n.StartProxy(t.Context(), bootstrap, "--concurrency", "2"); err != nil {
		t.Fatal(err)
	}
	n.manage(n.server, func(s *pods.Spec) {
		s.Namespace = "shop"
		s.Identity = pods.Identity{ServiceAccount: "seller", Labels: map[string]string{"app": "web"}}
	})
	url := "http://" + n.server.IPv4.String() + ":80/"
	refused := n.curl(n.client, url) // from somebody unknown
	if strings.HasPrefix(refused, "hello") {
		t.Errorf("a stranger was let in: %s", refused)
	}
	n.manage(n.client, func(s *pods.Spec) {
		s.Namespace = "shop"
		s.Identity = pods.Identity{ServiceAccount: "buyer"}
	})
	n.wantCurl(n.client, url, "hello "+n.server.IPv4.String())
	n.wantLogged(
		"inbound shop/server shop seller web from - -",
		"outbound shop/client shop buyer - to shop/server",
	)
	for name, want := range map[string]string{
		"pod.shop.server.inbound.downstream_cx_total":  "2",
		"pod.shop.client.outbound.downstream_cx_total": "1",
		"pod.shop.client.inbound.downstream_cx_total":  "0",
	} {
		if got := n.stat(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	page, err := n.Admin(t.Context(), "/stats/prometheus")
	if want := `envoy_pod_downstream_cx_total{weir_namespace="shop",weir_pod="server",weir_direction="inbound"} 2`; err != nil || !strings.Contains(page, want) {
		t.Errorf("no %s: %v\n%s", want, err, page)
	}
	if err := n.Client().RemovePod(t.Context(), "shop", "client"); err != nil {
		t.Fatal(err)
	}
	n.eventually("statistics of a pod that is gone are gone", func() bool {
		return n.stat("pod.shop.client.outbound.downstream_cx_total") == ""
	})
}

// Who a pod is that this node's agent does not manage, it can be told.
func TestPeerOfAnotherNode(t *testing.T) {
	n := newNode(t)
	config := filepath.Join(n.RunDir, "agent.yaml")
	peers := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	buyer := "peers: [{name: client, namespace: shop, addresses: [" + n.client.IPv4.String() + "], identity: {service_account: buyer}}]\n"
	startAgent := func() {
		t.Helper()
		if err := n.StartAgent(t.Context(), "--config", config); err != nil {
			t.Fatal(err)
		}
	}
	peers(buyer)
	startAgent()
	bootstrap := strings.ReplaceAll(identityBootstrap, "ACCESS_LOG", n.accessLog())
	if err := n.StartProxy(t.Context(), bootstrap); err != nil {
		t.Fatal(err)
	}
	n.manage(n.server, func(s *pods.Spec) { s.Namespace = "shop" })
	url := "http://" + n.server.IPv4.String() + ":80/"
	isLetIn := func() bool { return strings.HasPrefix(n.curl(n.client, url), "hello") }
	n.eventually("the client is known", isLetIn)
	reload := func(text string) {
		t.Helper()
		peers(text)
		if err := n.Agent.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	reload("peers: []")
	n.eventually("it is no longer known", func() bool { return !isLetIn() })
	reload(buyer)
	n.eventually("it is known again", isLetIn)
	n.Agent.Kill()
	if !isLetIn() {
		t.Error("what the proxy knew is gone with the agent")
	}
	peers("peers: []")
	startAgent()
	n.eventually("the next agent does not know it", func() bool { return !isLetIn() })
}
