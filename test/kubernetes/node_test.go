//go:build kubernetes

package kubernetes

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	nodeName = "node"
	nodeIP   = "10.123.0.2"
	podCIDR  = "10.244.0.0/24"
	// serviceCIDR's first address is the API server's.
	serviceCIDR = "10.96.0.0/16"
	apiService  = "10.96.0.1"
	dnsService  = "10.96.0.10"
	cgroupRoot  = "weir-kubernetes"
)

// node is a Kubernetes node that is up.
type node struct {
	t     *testing.T
	dir   string // of this run
	cache string // of programs and images: $WEIR_KUBERNETES
	certs *authority
	env   []string
}

// newNode brings a node up, program by program, and has it ended with the test.
func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, dir: os.Getenv("WEIR_KUBERNETES_DIR"), cache: os.Getenv("WEIR_KUBERNETES")}
	if n.cache == "" {
		t.Fatal("WEIR_KUBERNETES does not say where the node's programs are: run make e2e-k8s")
	}
	if err := ownDirectories(n.dir); err != nil {
		t.Fatal(err)
	}
	n.must("ip", "link", "set", "lo", "up")
	n.must("ip", "link", "add", "node0", "type", "veth", "peer", "name", "node1")
	n.must("ip", "link", "set", "node1", "up")
	n.must("ip", "link", "set", "node0", "up")
	n.must("ip", "addr", "add", nodeIP+"/24", "dev", "node0")
	n.must("ip", "route", "add", "default", "via", "10.123.0.1", "dev", "node0")
	n.write("/proc/sys/net/ipv4/ip_forward", "1")

	n.certs = newAuthority(t, n.mkdir("pki"))
	n.certs.server(t, "apiserver", []net.IP{net.ParseIP(nodeIP), net.ParseIP(apiService), net.IPv4(127, 0, 0, 1)}, []string{"kubernetes.default.svc", "localhost"})
	n.certs.admin(t, "admin", "admin")
	n.certs.admin(t, "kubelet", "system:node:"+nodeName)
	n.certs.admin(t, "controller", "system:kube-controller-manager")
	n.certs.admin(t, "scheduler", "system:kube-scheduler")
	n.certs.admin(t, "proxy", "system:kube-proxy")
	n.env = append(os.Environ(), "KUBECONFIG="+n.certs.kubeconfig(t, "admin"), "HOME="+n.dir)

	n.startControlPlane()
	n.startRuntime()
	n.startKubelet()
	n.eventually(5*time.Minute, "the node is ready", func() error {
		out, err := n.kubectl("get", "node", nodeName, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err == nil && out != "True" {
			err = fmt.Errorf("Ready is %q", out)
		}
		return err
	})
	return n
}

func (n *node) mkdir(name string) string {
	n.t.Helper()
	dir := filepath.Join(n.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		n.t.Fatal(err)
	}
	return dir
}

func (n *node) write(file, text string) string {
	n.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
	return file
}

// start runs one of the node's programs until the test ends. Its output is
// shown if the test fails.
func (n *node) start(name string, args ...string) {
	n.t.Helper()
	path := filepath.Join(n.cache, "bin", name)
	if _, err := os.Stat(path); err != nil {
		path = name // the system's
	}
	cmd := exec.Command(path, args...)
	cmd.Env = n.env
	log, err := os.Create(filepath.Join(n.dir, name+".log"))
	if err != nil {
		n.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() { cmd.Wait() })
	n.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		ended.Wait()
		timer.Stop()
		log.Close()
		if n.t.Failed() {
			n.showLog(name)
		}
	})
}

// logLines is how much of each program's log a failure shows.
const logLines = 25

func (n *node) showLog(name string) {
	text, _ := os.ReadFile(filepath.Join(n.dir, name+".log"))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	n.t.Logf("== %s\n%s", name, strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
}

// run runs a program to its end; its output is its answer.
func (n *node) run(name string, args ...string) (string, error) {
	path := filepath.Join(n.cache, "bin", name)
	if _, err := os.Stat(path); err != nil {
		path = name
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = n.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), err
}

func (n *node) must(name string, args ...string) string {
	n.t.Helper()
	out, err := n.run(name, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

func (n *node) kubectl(args ...string) (string, error) { return n.run("kubectl", args...) }

// apply gives the API server a manifest of testdata.
func (n *node) apply(manifest string) {
	n.t.Helper()
	n.must("kubectl", "apply", "-f", filepath.Join("testdata", manifest))
}

func (n *node) eventually(patience time.Duration, what string, is func() error) {
	n.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	n.t.Fatalf("not within %s: %s: %v", patience, what, err)
}
