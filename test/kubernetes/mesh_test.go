//go:build kubernetes

package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// upgraded gives the release a bootstrap of its own and turns on what is off by
// default: the pods' DNS and balanced Services.
func (n *node) upgraded(t *testing.T) {
	n.underLoad(t, func() {
		n.must("helm", "upgrade", "weir", chart, "--namespace", system, "--reuse-values", "--wait", "--timeout", "5m",
			"--set-file", "proxy.bootstrap=testdata/mesh.yaml", "--set", "agent.dns=true,agent.balanceServices=true")
		n.rolledOut()
	})
}

// probe runs the app in the pod that asks when it is told to.
func (n *node) probe(args ...string) (string, error) {
	return n.kubectl(append([]string{"-n", "shop", "exec", "probe", "--", "/app"}, args...)...)
}

// dnsIsAnswered asks for names of the cluster, of the proxy's table and of the
// mesh: the cluster's DNS server knows only the first.
func (n *node) dnsIsAnswered(t *testing.T) {
	for name, want := range map[string]string{
		"web":                        "10.96.0.80",
		"web.shop.svc.cluster.local": "10.96.0.80",
		"given.mesh":                 "10.96.0.80",
		"shop.mesh":                  "240.240.",
	} {
		if got, err := n.probe("lookup", name); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s is %s, want %s: %v", name, got, want, err)
		}
	}
	if got, err := n.probe("lookup", "nowhere.mesh"); err == nil {
		t.Errorf("nowhere.mesh is %s", got)
	}
	if got, err := n.probe("get", "http://shop.mesh/"); err != nil || !strings.HasPrefix(got, "web-") {
		t.Errorf("shop.mesh answers %q: %v", got, err)
	}
	for _, name := range []string{"envoy_dns_forwarded", "envoy_dns_answered_cached", "envoy_dns_answered_stand_in"} {
		n.eventually(time.Minute, name+" is counted", func() error {
			if got, err := n.metric(name, ""); err != nil || got == 0 {
				return fmt.Errorf("%d, %w", got, err)
			}
			return nil
		})
	}
}

// metric is one of the proxy's; labels are as Prometheus writes them.
func (n *node) metric(name, labels string) (int, error) {
	page, err := get("http://" + nodeIP + ":15020/stats/prometheus")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, name+"{"+labels+"} "); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("no metric %s{%s}", name, labels)
}

// identityIsLogged looks for who it was that connected, what it called its
// destination, and who was at the other end.
func (n *node) identityIsLogged(t *testing.T) {
	if got, err := n.probe("get", "http://web:82/"); err != nil || !strings.HasPrefix(got, "web-") {
		t.Fatalf("%q, %v", got, err)
	}
	for _, want := range []string{
		"outbound shop/probe buyer to web.shop.svc.cluster.local 10.96.0.80:82",
		"inbound web from shop/probe buyer",
	} {
		n.eventually(time.Minute, "the access log has "+want, func() error {
			log, err := n.kubectl("-n", system, "logs", "ds/weir", "-c", "proxy")
			if err == nil && !slices.Contains(strings.Split(log, "\n"), want) {
				err = fmt.Errorf("it is\n%s", log)
			}
			return err
		})
	}
}

// serviceIsBalanced has a Service's endpoints picked at connect, follows them
// as they change, and leaves the Service to kube-proxy again.
func (n *node) serviceIsBalanced(t *testing.T) {
	endpoints := func(want int) {
		t.Helper()
		n.eventually(2*time.Minute, fmt.Sprintf("the Service has %d endpoints", want), func() error {
			s, err := n.status()
			if err != nil {
				return err
			}
			have := 0
			for _, service := range s.Services {
				have += len(service.Endpoints)
			}
			if have != want {
				err = fmt.Errorf("%+v", s.Services)
			}
			return err
		})
	}
	balanced := func() uint64 {
		t.Helper()
		s, err := n.status()
		if err != nil {
			t.Fatal(err)
		}
		return s.Counters["balanced"]
	}
	ask := func() uint64 {
		t.Helper()
		before := balanced()
		if got, err := n.probe("get", "http://10.96.0.81/"); err != nil || !strings.HasPrefix(got, "web-") {
			t.Errorf("%q, %v", got, err)
		}
		return balanced() - before
	}
	n.must("kubectl", "-n", "shop", "label", "service", "direct", "weir.dev/balance=connect")
	endpoints(2)
	if got := ask(); got != 1 {
		t.Errorf("%d connections were balanced, not 1", got)
	}
	n.must("kubectl", "-n", "shop", "scale", "deployment", "web", "--replicas", "3")
	endpoints(3)
	n.must("kubectl", "-n", "shop", "scale", "deployment", "web", "--replicas", "2")
	endpoints(2)
	n.must("kubectl", "-n", "shop", "label", "service", "direct", "weir.dev/balance-")
	endpoints(0)
	if got := ask(); got != 0 {
		t.Errorf("%d connections were balanced, none should be", got)
	}
	n.wantCaught(0)
}
