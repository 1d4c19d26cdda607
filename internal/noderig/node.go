package noderig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/weirproxy/weir/agent"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// ProxyUID is the user that the proxy runs as: nobody in particular, who owns
// nothing but its directory.
const ProxyUID = 1337

// Node is pods, an agent and a proxy.
type Node struct {
	Rig *netnsrig.Rig
	// Weir is the binary, where every user can execute it.
	Weir string
	// RunDir is the agent's; ProxyDir in it is the proxy's own.
	RunDir, ProxyDir string
	BPFDir           string
	// Supervised starts the proxy under weir supervise, which starts it again.
	Supervised bool
	// Agent and Proxy are the last started; nil before.
	Agent, Proxy *Process

	log io.Writer
}

// New makes a node without pods, agent and proxy. Its name is that of its
// directories, /run/NAME and /sys/fs/bpf/NAME. log gets what agent and proxy
// say.
func New(weir, name string, log io.Writer) (*Node, error) {
	n := &Node{
		RunDir: filepath.Join("/run", name), BPFDir: filepath.Join("/sys/fs/bpf", name), log: log,
	}
	n.ProxyDir = filepath.Join(n.RunDir, "proxy")
	n.Weir = filepath.Join(n.RunDir, "bin", "weir")
	if err := n.sweep(); err != nil {
		return nil, err
	}
	if err := n.setUp(weir); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// sweep removes what a killed program left.
func (n *Node) sweep() error {
	if _, err := netnsrig.Sweep(); err != nil {
		return err
	}
	return n.removeAll(context.Background())
}

func (n *Node) setUp(weir string) error {
	for _, dir := range []string{n.RunDir, n.ProxyDir, filepath.Dir(n.Weir)} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chown(n.ProxyDir, ProxyUID, ProxyUID); err != nil {
		return err
	}
	// The build directory may be closed to other users.
	if err := copyFile(n.Weir, weir); err != nil {
		return err
	}
	var err error
	n.Rig, err = netnsrig.New()
	return err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Close ends everything and removes all that the node made.
func (n *Node) Close() error {
	var errs []error
	for _, p := range []*Process{n.Proxy, n.Agent} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	errs = append(errs, n.removeAll(context.Background()))
	if n.Rig != nil {
		errs = append(errs, n.Rig.Close())
	}
	return errors.Join(errs...)
}

func (n *Node) removeAll(ctx context.Context) error {
	_, err := agent.Cleanup(ctx, n.options())
	return errors.Join(err, os.RemoveAll(n.RunDir))
}

func (n *Node) options() agent.Options {
	o := agent.DefaultOptions()
	o.RunDir, o.BPFDir = n.RunDir, n.BPFDir
	return o
}

// Client talks to the agent.
func (n *Node) Client() *agent.Client { return agent.NewClient(n.options()) }

// AgentArgs are the flags by which weir agent and weir observe find this
// node's agent.
func (n *Node) AgentArgs() []string { return []string{"--run-dir", n.RunDir, "--bpf-dir", n.BPFDir} }

// Command is a weir subcommand, not started.
func (n *Node) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, n.Weir, args...)
}

// StartAgent starts the agent and waits until it answers.
func (n *Node) StartAgent(ctx context.Context, args ...string) error {
	cmd := exec.Command(n.Weir, append(append([]string{"agent", "--proxy-uid", fmt.Sprint(ProxyUID)}, n.AgentArgs()...), args...)...)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	p, err := start(cmd)
	if err != nil {
		return err
	}
	n.Agent = p
	return p.untilReady(ctx, "the agent answers", func() bool {
		s, err := n.Client().Status(ctx)
		return err == nil && s.PID == p.PID()
	})
}

// StartProxy starts the proxy as an ordinary user and waits until it is ready
// and has joined the agent.
func (n *Node) StartProxy(ctx context.Context, bootstrap string, args ...string) error {
	file := filepath.Join(n.RunDir, "bootstrap.yaml")
	if err := os.WriteFile(file, []byte(bootstrap), 0o644); err != nil {
		return err
	}
	if err := os.Remove(n.adminFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var supervise []string
	if n.Supervised {
		supervise = []string{"supervise", "--"}
	}
	cmd := exec.Command(n.Weir, slices.Concat(supervise, []string{
		"proxy", "-c", file, "--agent-socket", filepath.Join(n.RunDir, "proxy.sock"),
		"--admin-address-path", n.adminFile(), "--file-flush-interval-msec", "50", "--drain-time-s", "1",
	}, args)...)
	cmd.Stdout, cmd.Stderr = n.log, n.log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ProxyUID, Gid: ProxyUID}}
	p, err := start(cmd)
	if err != nil {
		return err
	}
	n.Proxy = p
	return p.untilReady(ctx, "the proxy is ready", func() bool {
		s, err := n.Client().Status(ctx)
		if err != nil || len(s.Proxies) == 0 || !n.Supervised && !slices.Contains(s.Proxies, p.PID()) {
			return false
		}
		_, err = n.Admin(ctx, "/ready")
		return err == nil
	})
}

func (n *Node) adminFile() string { return filepath.Join(n.ProxyDir, "admin") }

// AdminAddr is the proxy's admin address; empty before there is one.
func (n *Node) AdminAddr() string {
	addr, _ := os.ReadFile(n.adminFile())
	return strings.TrimSpace(string(addr))
}

// Admin gets a page of the proxy's admin interface. A status other than 200
// is an error.
func (n *Node) Admin(ctx context.Context, page string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.AdminAddr()+page, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", page, resp.Status, body)
	}
	return string(body), err
}
