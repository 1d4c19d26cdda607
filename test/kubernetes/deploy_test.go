//go:build kubernetes

package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var kustomize, _ = filepath.Abs("../../deploy/kustomize")

// tool runs a program of the cache.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("WEIR_KUBERNETES"), "bin", name), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestChartLints(t *testing.T) {
	tool(t, "helm", "lint", "--strict", chart)
	for _, values := range []string{
		"metrics.podMonitor.enabled=true", "metrics.dashboards.enabled=true", "cni.enabled=false", "proxy.concurrency=2",
		"agent.dns=true,agent.balanceServices=true,agent.clusterPeers=true", "agent.exclude.outboundCIDRs={10.0.0.0/8},agent.exclude.outboundPorts={5432},agent.exclude.uids={101}",
	} {
		tool(t, "helm", "lint", "--strict", chart, "--set", values)
	}
}

// A value that the chart does not have, or that makes no sense, is refused.
func TestChartRefusesValues(t *testing.T) {
	for _, values := range []string{"agent.dsn=true", "agent.exclude.outboundPorts={http}", "proxy.uid=0", "cni.onError=ignore", "agent.maxSilence=soon"} {
		cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("WEIR_KUBERNETES"), "bin", "helm"), "template", "weir", chart, "--kube-version", "1.30", "--set", values)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), strings.Split(strings.Split(values, "=")[0], ".")[1]) {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
	}
}

// The base of kustomize is what the chart gives, and overlays build on it.
func TestKustomizeIsTheChart(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../scripts/kustomize", dir)
	cmd.Env = append(os.Environ(), "HELM="+filepath.Join(os.Getenv("WEIR_KUBERNETES"), "bin", "helm"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range []string{"weir.yaml", "bootstrap.yaml"} {
		want, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(kustomize, "base", file))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the chart gives (%v): run scripts/kustomize", file, err)
		}
	}
	overlay := tool(t, "kubectl", "kustomize", filepath.Join(kustomize, "overlays", "own-bootstrap"))
	for _, want := range []string{"image: registry.example.com/weir:1.0", "where_it_was_going", "memory: 512Mi"} {
		if !strings.Contains(overlay, want) {
			t.Errorf("the overlay has no %q", want)
		}
	}
}

// kustomizeApplies asks the API server whether it would take base and overlay.
func (n *node) kustomizeApplies(t *testing.T) {
	for _, dir := range []string{"base", "overlays/own-bootstrap"} {
		n.must("kubectl", "apply", "--dry-run=server", "-k", filepath.Join(kustomize, dir))
	}
}
