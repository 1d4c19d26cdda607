//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// uninstalled removes the chart and cleans the node as docs/kubernetes.md says:
// nothing of weir is left, and the shop goes on without it.
func (n *node) uninstalled(t *testing.T) {
	s, err := n.status()
	if err != nil {
		t.Fatal(err)
	}
	n.must("helm", "uninstall", "weir", "--namespace", system, "--wait", "--timeout", "5m")
	n.eventually(2*time.Minute, "weir's pods are gone", func() error {
		out, err := n.kubectl("-n", system, "get", "pods", "-o", "name")
		if err == nil && out != "" {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	n.must(os.Getenv("WEIR"), "cni", "remove")
	t.Logf("weir agent cleanup:\n%s", n.must(os.Getenv("WEIR"), "agent", "cleanup"))

	before, err := n.load()
	if err != nil {
		t.Fatal(err)
	}
	n.eventually(time.Minute, "the clients are answered again", func() error {
		now, err := n.load()
		if err == nil && now.ok < before.ok+100 {
			err = fmt.Errorf("%+v", now)
		}
		return err
	})
	n.underLoad(t, func() {
		n.must("kubectl", "-n", "shop", "scale", "deployment", "web", "--replicas", "3") // pods start without the plugin
		n.must("kubectl", "-n", "shop", "rollout", "status", "deployment", "web", "--timeout", "5m")
	})
	for _, p := range s.Pods {
		rules, err := n.run("nsenter", "--net="+p.Netns, "ip", "rule")
		if err != nil || strings.Contains(rules, "fwmark") {
			t.Errorf("%s has rules of weir's: %s, %v", p.Name, rules, err)
		}
	}
	for _, file := range []string{"/sys/fs/bpf/weir", "/opt/cni/bin/weir-cni"} {
		if exists(file) {
			t.Errorf("%s is left", file)
		}
	}
}
