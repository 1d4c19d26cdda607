//go:build kubernetes

package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/weirproxy/weir/internal/cgroup2"
)

const containerdSocket = "/run/containerd/containerd.sock"

// startRuntime starts containerd with a bridge network, and gives it the
// images that the node needs: there is no registry.
func (n *node) startRuntime() {
	plugins, err := filepath.Glob("/usr/lib/cni/*") // Debian's containernetworking-plugins
	if err != nil || len(plugins) == 0 {
		n.t.Fatal("/usr/lib/cni has no CNI plugins (Debian: containernetworking-plugins)")
	}
	for _, p := range plugins {
		if err := os.Symlink(p, filepath.Join("/opt/cni/bin", filepath.Base(p))); err != nil {
			n.t.Fatal(err)
		}
	}
	n.write("/etc/cni/net.d/10-bridge.conflist", fmt.Sprintf(`{
  "cniVersion": "1.0.0", "name": "pods",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}
  ]
}`, podCIDR))
	config := n.write(filepath.Join(n.dir, "containerd.toml"), fmt.Sprintf(`
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  # Raising a score again needs CAP_SYS_RESOURCE, which not every machine has.
  restrict_oom_score_adj = true
  sandbox_image = "weir.dev/app:test"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`, containerdSocket))
	n.t.Cleanup(func() { n.run("pkill", "-KILL", "-f", "containerd-shim.*-address "+containerdSocket) })
	n.start("containerd", "--config", config, "--address", containerdSocket)
	n.eventually(2*time.Minute, "containerd answers", func() error {
		_, err := n.run("ctr", "--address", containerdSocket, "version")
		return err
	})
	for _, image := range []string{"weir.tar", "app.tar"} {
		n.must("ctr", "--address", containerdSocket, "--namespace", "k8s.io", "images", "import", filepath.Join(n.cache, image))
	}
}

// startKubelet starts the kubelet and kube-proxy.
func (n *node) startKubelet() {
	n.makeCgroups()
	config := n.write(filepath.Join(n.dir, "kubelet.yaml"), fmt.Sprintf(`
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: %s}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://%s
cgroupDriver: cgroupfs
cgroupRoot: /%s
cgroupsPerQOS: true
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
clusterDNS: [%s]
clusterDomain: cluster.local
evictionHard: {memory.available: 100Mi, nodefs.available: 1%%, imagefs.available: 1%%}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
maxPods: 250
resolvConf: ""
`, n.certs.path("ca.crt"), containerdSocket, cgroupRoot, dnsService))
	n.start("kubelet",
		"--config", config, "--kubeconfig", n.certs.kubeconfig(n.t, "kubelet"),
		"--hostname-override", nodeName, "--node-ip", nodeIP, "--cert-dir", n.mkdir("kubelet"))
	n.start("kube-proxy", "--kubeconfig", n.certs.kubeconfig(n.t, "proxy"), "--proxy-mode", "nftables",
		"--hostname-override", nodeName, "--cluster-cidr", podCIDR, "--conntrack-max-per-core", "0")
}

// makeCgroups makes the kubelet's root cgroup in every hierarchy; on cgroup v1
// a cpuset is of no use before it has CPUs and memory.
func (n *node) makeCgroups() {
	trees := []string{"/sys/fs/cgroup"}
	if entries, err := os.ReadDir("/sys/fs/cgroup"); err == nil && !exists("/sys/fs/cgroup/cgroup.controllers") {
		trees = nil
		for _, e := range entries {
			if e.Type()&os.ModeSymlink == 0 {
				trees = append(trees, filepath.Join("/sys/fs/cgroup", e.Name()))
			}
		}
	}
	for _, tree := range trees {
		dir := filepath.Join(tree, cgroupRoot)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { removeCgroups(dir) })
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if text, err := os.ReadFile(filepath.Join(tree, file)); err == nil {
				n.write(filepath.Join(dir, file), string(text))
			}
		}
	}
}

// removeCgroups ends what runs in the pods, which outlives the runtime.
func removeCgroups(dir string) {
	pids, _ := cgroup2.Pids(dir) // cgroup.procs is the same in every version
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroups(filepath.Join(dir, e.Name()))
		}
	}
	for deadline := time.Now().Add(5 * time.Second); os.Remove(dir) != nil && exists(dir) && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond) // until they are gone
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// podLogs are the last words of every container, for a failure.
func (n *node) podLogs(namespace string) string {
	out, err := n.kubectl("-n", namespace, "get", "pods", "-o", "wide")
	lines := []string{out}
	if err != nil {
		lines = append(lines, err.Error())
	}
	names, _ := n.kubectl("-n", namespace, "get", "pods", "-o", "name")
	for _, name := range strings.Fields(names) {
		out, _ := n.kubectl("-n", namespace, "logs", "--all-containers", "--prefix", "--tail", "15", name)
		lines = append(lines, out)
	}
	return strings.Join(lines, "\n")
}
