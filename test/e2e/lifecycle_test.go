//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/noderig"
)

// A proxy that starts before the agent waits for it.
func TestProxyFirst(t *testing.T) {
	n := newNode(t)
	cmd := n.Command(t.Context(), "proxy", "--config-yaml", "{}", "--agent-socket", n.RunDir+"/proxy.sock")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: noderig.ProxyUID, Gid: noderig.ProxyUID}}
	cmd.Dir = "/"
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "waiting for the agent") {
	}
	n.startAgent()
	go io.Copy(io.Discard, said)
	n.eventually("the proxy has joined", func() bool {
		s, err := n.Client().Status(t.Context())
		return err == nil && len(s.Proxies) == 1
	})
}

// A proxy is killed: what connects meanwhile waits for the next one.
func TestProxyKilled(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.client, nil)
	n.wantCurl(n.client, "http://"+service4+"/", "hello "+n.client.IPv4.String())
	n.Proxy.Kill()
	c, err := n.client.Dial(t.Context(), "tcp", service4+":80")
	if err != nil {
		t.Fatalf("refused while there is no proxy: %v", err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+service4+"\r\nConnection: close\r\n\r\n")
	n.startProxy()
	c.SetReadDeadline(time.Now().Add(patience))
	if answer, err := io.ReadAll(c); !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("%q, %v", answer, err)
	}
}

// A proxy is replaced by the next one, which has joined before the first one
// drains: no request fails. Nor do those that the new one passes on to the
// other pod, whose connections the old one would end with its own.
func TestProxyReplaced(t *testing.T) {
	n := newNode(t)
	n.start()
	n.manage(n.client, nil)
	n.manage(n.server, nil)
	l := n.newLoad("hello " + n.server.IPv4.String())
	for range 3 {
		l.ask("http://" + n.server.IPv4.String() + "/")
		l.ask("http://" + n.server.IPv4.String() + "/[1-200]")
	}
	for range 3 {
		l.more(500)
		old := n.Proxy
		n.startProxy()
		l.more(500) // while there are two
		if err := old.Stop(); err != nil {
			t.Error(err)
		}
	}
	l.more(500)
	l.stop()
}

// The agent is killed and started again: nobody notices, on new connections
// or old ones, in either mode.
func TestAgentKilled(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		n := newNode(t)
		n.start()
		n.manage(n.client, mode)
		l := n.startLoad()
		for range 3 {
			l.more(50)
			n.Agent.Kill()
			l.more(20) // by upstream sockets at hand
			n.startAgent()
		}
		l.more(50)
		l.stop()
		n.eventually("the proxy has joined the new agent", func() bool {
			s, err := n.Client().Status(t.Context())
			return err == nil && len(s.Proxies) == 1 && len(s.Pods) == 1 && s.Pods[0].State == "caught"
		})
	})
}

// After SIGTERM to both and cleanup nothing is left, and pods are as before.
func TestCleanup(t *testing.T) {
	n := newNode(t)
	inPod := func() string {
		// Link-local addresses come when the kernel has found them to be unique.
		out, err := n.client.Output(t.Context(), "sh", "-c", "for f in -4 -6; do ip $f rule; ip $f route show table all | grep -v fe80; done")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := inPod()
	n.start()
	n.manage(n.client, nil)
	for _, p := range []interface{ Stop() error }{n.Proxy, n.Agent} {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
	if inPod() == before {
		t.Error("the pod was let go before the cleanup")
	}
	cleanup := func() string {
		out, err := n.Command(t.Context(), append([]string{"agent", "cleanup"}, n.AgentArgs()...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := cleanup(); !strings.Contains(out, "removed") || !strings.Contains(out, "default/client") {
		t.Errorf("cleanup said %q", out)
	}
	if after := inPod(); after != before {
		t.Errorf("left in the pod:\n%s\nwas:\n%s", after, before)
	}
	if _, err := os.Stat(n.BPFDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left", n.BPFDir)
	}
	n.wantCurl(n.client, "http://"+n.server.IPv4.String()+"/", "hello "+n.client.IPv4.String())
	if out := cleanup(); out != "nothing to remove\n" {
		t.Errorf("a second cleanup said %q", out)
	}
}

// load is requests without pause.
type load struct {
	n      *node
	want   string
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	count  int
	failed []string
}

// startLoad asks for the service: each time on a new connection, and on some
// that are kept.
func (n *node) startLoad() *load {
	l := n.newLoad("hello " + n.client.IPv4.String())
	l.ask("http://" + service4 + "/")
	l.ask("http://" + service4 + "/[1-20]")
	return l
}

func (n *node) newLoad(want string) *load {
	l := &load{n: n, want: want + "\n"}
	l.ctx, l.cancel = context.WithCancel(n.t.Context())
	n.t.Cleanup(func() { l.cancel(); l.done.Wait() })
	return l
}

// ask adds a client. With a range in the URL it keeps its connection for that
// many requests.
func (l *load) ask(url string) { l.done.Go(func() { l.repeat(url) }) }

func (l *load) repeat(url string) {
	for l.ctx.Err() == nil {
		out, err := l.n.client.Output(context.WithoutCancel(l.ctx), "curl", "-sS", "-m", "60", url)
		l.mu.Lock()
		for line := range strings.Lines(out) {
			l.count++
			if line != l.want {
				l.failed = append(l.failed, line)
			}
		}
		if err != nil {
			l.failed = append(l.failed, err.Error())
		}
		l.mu.Unlock()
	}
}

// more waits for n more answers.
func (l *load) more(n int) {
	l.n.t.Helper()
	seen := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.count
	}
	want := seen() + n
	l.n.eventually("more answers", func() bool { return seen() >= want })
}

// stop ends the load, none of which may have failed.
func (l *load) stop() {
	l.n.t.Helper()
	l.cancel()
	l.done.Wait()
	if len(l.failed) > 0 {
		l.n.t.Errorf("%d of %d requests failed, the first: %q", len(l.failed), l.count, l.failed[0])
	}
}

// Who is not asked for gets no sockets.
func TestAgentRefusesOtherUsers(t *testing.T) {
	n := newNode(t)
	n.startAgent()
	cmd := n.Command(t.Context(), "proxy", "--config-yaml", "{}", "--agent-socket", n.RunDir+"/proxy.sock")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "agent-socket") {
		t.Errorf("%v: %s", err, out)
	}
}
