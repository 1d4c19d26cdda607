//go:build kubernetes

package kubernetes

import (
	"path/filepath"
	"testing"
)

const system = "weir-system"

// TestWeir installs the chart on a real node and does to it what befalls a
// DaemonSet, under a load that notices every failure.
func TestWeir(t *testing.T) {
	n := newNode(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(n.podLogs(system))
			t.Log(n.podLogs("shop"))
		}
	})
	n.apply("dns.yaml")
	n.apply("shop.yaml")
	n.must("kubectl", "-n", "kube-system", "rollout", "status", "deployment", "--timeout", "5m")
	n.must("kubectl", "-n", "shop", "rollout", "status", "deployment", "--timeout", "5m")
	n.must("kubectl", "-n", "shop", "wait", "pod", "probe", "--for=condition=Ready", "--timeout", "5m")
	n.clientsAreServed()
	n.must("helm", "install", "weir", chart, "--namespace", system, "--create-namespace", "--wait", "--timeout", "5m",
		"--set", "image.tag=test,image.pullPolicy=Never,proxy.drainSeconds=10,cni.onError=fail")
	n.must("kubectl", "label", "namespace", "shop", "weir.dev/catch=true")
	n.step("kustomize applies", n.kustomizeApplies)
	n.step("running pods are caught", n.runningPodsAreCaught)
	n.step("metrics exist", n.metricsExist)
	n.step("upgraded to a mesh", n.upgraded)
	n.step("DNS", n.dnsIsAnswered)
	n.step("identity in the access log", n.identityIsLogged)
	n.step("a Service is balanced", n.serviceIsBalanced)
	n.step("annotations", n.annotationsHold)
	n.step("rollout restart", n.rolloutRestart)
	n.step("agent killed", n.agentKilled)
	n.step("proxy killed", n.proxyKilled)
	n.step("pods churned", n.podsChurned)
	n.step("opted out in place", n.optedOut)
	n.step("uninstalled", n.uninstalled)
}

// step is a part of the test.
func (n *node) step(name string, do func(*testing.T)) {
	whole := n.t
	defer func() { n.t = whole }()
	whole.Run(name, func(t *testing.T) {
		n.t = t
		do(t)
	})
}

var chart, _ = filepath.Abs("../../deploy/helm/weir")
