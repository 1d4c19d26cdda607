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
	n.apply(shop)
	n.must("kubectl", "-n", "shop", "rollout", "status", "deployment", "--timeout", "2m")
	n.must("helm", "install", "weir", chart, "--namespace", system, "--create-namespace", "--wait", "--timeout", "3m",
		"--set", "image.tag=test,image.pullPolicy=Never,proxy.drainSeconds=10,cni.onError=fail")
	n.must("kubectl", "label", "namespace", "shop", "weir.dev/catch=true")
	n.step("kustomize applies", n.kustomizeApplies)
	n.step("running pods are caught", n.runningPodsAreCaught)
	n.step("metrics exist", n.metricsExist)
	n.step("rollout restart", n.rolloutRestart)
	n.step("agent killed", n.agentKilled)
	n.step("proxy killed", n.proxyKilled)
	n.step("pods churned", n.podsChurned)
	n.step("opted out in place", n.optedOut)
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

// shop is a Deployment and a Service like any other, and a client that never
// stops asking.
const shop = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "weir.dev/app:test", imagePullPolicy: Never, args: [serve, ":8080"], ports: [{containerPort: 8080}],
         readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: shop}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      containers:
      - {name: client, image: "weir.dev/app:test", imagePullPolicy: Never, args: [load, "http://10.96.0.80/", ":9000"]}
`
