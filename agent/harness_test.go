package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

// This test binary is also the agent and the proxy that the tests start,
// because only processes can be killed or run as another user.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	var err error
	switch os.Getenv("WEIR_TEST_ROLE") {
	case "":
		stop()
		os.Exit(m.Run())
	case "agent":
		err = runAgent(ctx)
	case "proxy":
		err = runProxy(ctx, os.Getenv("WEIR_TEST_OPTIONS"))
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runAgent(ctx context.Context) error {
	o := DefaultOptions()
	if err := json.Unmarshal([]byte(os.Getenv("WEIR_TEST_OPTIONS")), &o); err != nil {
		return err
	}
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	return Serve(ctx, o, true)
}

// runProxy answers each caught connection "DIRECTION DESTINATION" and beats.
func runProxy(ctx context.Context, socket string) error {
	// The binary is where only root can execute it, so it becomes nobody here.
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		return err
	}
	c, err := handoff.Dial(socket, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			c.Heartbeat()
		}
	}()
	return c.Run(ctx, &proxy{client: c, listeners: map[uint32][]net.Listener{}})
}

type proxy struct {
	client    *handoff.Client
	mu        sync.Mutex
	listeners map[uint32][]net.Listener
}

func (p *proxy) PodAdded(pod handoff.Pod) {
	if pod.HasDNS() {
		unix.Close(pod.DNSServers)
	}
	for _, l := range pod.Listeners {
		if l.Direction == handoff.DNS {
			unix.Close(l.FD) // the client keeps its own
			continue
		}
		f := os.NewFile(uintptr(l.FD), "listener")
		listener, err := net.FileListener(f)
		f.Close()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		p.mu.Lock()
		p.listeners[pod.ID] = append(p.listeners[pod.ID], listener)
		p.mu.Unlock()
		go p.serve(pod, l, listener)
	}
	fmt.Println("pod", pod.ID, pod.Name)
}

func (p *proxy) PodChanged(pod handoff.Pod) {
	fmt.Println("changed", pod.ID, pod.ServiceAccount, pod.Labels)
}

func (p *proxy) PeersChanged(peers []handoff.Peer, gone []string) {
	for _, peer := range peers {
		fmt.Println("peer", peer.Key(), peer.Addresses, peer.ServiceAccount)
	}
	fmt.Println("gone peers", gone)
}

func (p *proxy) DNSServersMoved(_, _ uint32, servers int) { unix.Close(servers) }

func (p *proxy) Yield(bool) {}

func (p *proxy) PodRemoved(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.listeners[id] {
		l.Close()
	}
	delete(p.listeners, id)
	fmt.Println("gone", id)
}

func (p *proxy) serve(pod handoff.Pod, l handoff.Listener, from net.Listener) {
	for {
		c, err := from.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			dst := c.LocalAddr().String()
			if l.OriginalDst == handoff.Sockopt {
				dst = sockoptDst(c.(*net.TCPConn))
			}
			fmt.Fprintf(c, "%s %s", l.Direction, dst)
			if strings.HasSuffix(dst, ":81") { // to be proxied
				fmt.Fprintf(c, ", which says: %s", p.forward(pod.ID, dst))
			}
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
		}()
	}
}

// forward connects as a proxy does: by a socket from the agent.
func (p *proxy) forward(podID uint32, dst string) string {
	fds, err := p.client.UpstreamSockets(podID, handoff.IPv4, 1)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fds[0])
	addr, _ := net.ResolveTCPAddr("tcp", dst)
	unix.SetNonblock(fds[0], false)
	sa := &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	if err := unix.Connect(fds[0], sa); err != nil {
		return err.Error()
	}
	buf := make([]byte, 100)
	n, err := unix.Read(fds[0], buf)
	if err != nil {
		return err.Error()
	}
	return string(buf[:n])
}

func sockoptDst(c *net.TCPConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return err.Error()
	}
	dst := ""
	raw.Control(func(fd uintptr) {
		// A sockaddr_in fits an IPv6 multicast request, which x/sys can ask for.
		mreq, e := unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, 80)
		if e != nil {
			dst = e.Error()
			return
		}
		sa := mreq.Multiaddr
		dst = net.JoinHostPort(net.IP(sa[4:8]).String(), fmt.Sprint(int(sa[2])<<8|int(sa[3])))
	})
	return dst
}

// node is where a test's agent and proxies live.
type node struct {
	t    *testing.T
	opts Options
	wrap []string // a command that runs the agent
}

func newNode(t *testing.T) *node {
	t.Helper()
	netnsrig.RequireRoot(t)
	o := DefaultOptions()
	// Not t.TempDir: other users must reach the proxies' socket.
	dir, err := os.MkdirTemp("", "weir-agent-")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755)
	o.RunDir = dir
	o.BPFDir = "/sys/fs/bpf/weir-test-" + strings.ReplaceAll(t.Name(), "/", "-")
	o.MaxSilence = time.Hour
	o.ProxyUIDs = []uint32{nobody}
	n := &node{t: t, opts: o}
	t.Cleanup(func() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
		if _, err := Cleanup(context.Background(), o); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return n
}

const nobody = 65534

// process is a started role; kill it or let the test end it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (n *node) start(role, options string) *process {
	n.t.Helper()
	argv := []string{os.Args[0]}
	if role == "agent" {
		argv = append(n.wrap, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "WEIR_TEST_ROLE="+role, "WEIR_TEST_OPTIONS="+options)
	cmd.Stdout, cmd.Stderr = n.t.Output(), n.t.Output()
	cmd.Dir = "/"
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	p := &process{cmd, make(chan struct{})}
	go func() { cmd.Wait(); close(p.done) }()
	n.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill() // may have ended
	<-p.done
}

func (p *process) fds(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// settledFDs is how many there are once none have come or gone for a while.
func (p *process) settledFDs(t *testing.T) int {
	t.Helper()
	fds := p.fds(t)
	for same := 0; same < 10; same++ {
		time.Sleep(50 * time.Millisecond)
		if now := p.fds(t); now != fds {
			fds, same = now, 0
		}
	}
	return fds
}

func (n *node) startAgent() *process {
	n.t.Helper()
	text, _ := json.Marshal(struct {
		Config, RunDir, BPFDir, MetricsAddress string
		ProxyUIDs                              []uint32
		MaxSilence                             time.Duration
		DNS                                    bool
	}{n.opts.Config, n.opts.RunDir, n.opts.BPFDir, n.opts.MetricsAddress, n.opts.ProxyUIDs, n.opts.MaxSilence, n.opts.DNS})
	p := n.start("agent", string(text))
	n.eventually("the agent is up", func() bool {
		s, err := n.client().Status(n.t.Context())
		return err == nil && s.PID == p.cmd.Process.Pid
	})
	return p
}

// startProxy runs the proxy as nobody, who has no capability.
func (n *node) startProxy() *process {
	n.t.Helper()
	p := n.start("proxy", n.opts.proxySocket())
	n.eventually("the proxy has joined", func() bool {
		for _, pid := range n.status().Proxies {
			if pid == p.cmd.Process.Pid {
				return true
			}
		}
		return false
	})
	return p
}

func (n *node) client() *Client { return NewClient(n.opts) }

func (n *node) status() Status {
	n.t.Helper()
	s, err := n.client().Status(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return s
}

func (n *node) addPod(p *netnsrig.Pod, change func(*pods.Spec)) {
	n.t.Helper()
	spec := pods.Spec{Name: p.Name, Netns: p.Netns, Cgroup: p.Cgroup}
	if change != nil {
		change(&spec)
	}
	if err := n.client().AddPod(n.t.Context(), spec); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) wantState(pod, state string) {
	n.t.Helper()
	n.eventually(pod+" is "+state, func() bool {
		for _, p := range n.status().Pods {
			if p.Name == pod {
				return p.State == state
			}
		}
		return state == ""
	})
}

// patience is ample for a machine that does much else.
const patience = 2 * time.Minute

func (n *node) eventually(what string, is func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	n.t.Fatalf("not in time: %s", what)
}

func ask(t *testing.T, p *netnsrig.Pod, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := p.Dial(ctx, "tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func wantAnswer(t *testing.T, p *netnsrig.Pod, addr, want string) {
	t.Helper()
	if got := ask(t, p, addr); got != want {
		t.Errorf("%s to %s: %q, want %q", p.Name, addr, got, want)
	}
}

func serve(t *testing.T, p *netnsrig.Pod, addr, text string) {
	t.Helper()
	l, err := p.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	tcprig.Serve(t, l, func(c net.Conn) {
		fmt.Fprintf(c, "%s to %s", text, c.RemoteAddr().(*net.TCPAddr).IP)
	})
}

// left lists what of the agent is still in a pod and pinned.
func (n *node) left(p *netnsrig.Pod) string {
	n.t.Helper()
	out := n.inPod(p)
	pins, err := filepath.Glob(n.opts.BPFDir + "*")
	if err != nil {
		n.t.Fatal(err)
	}
	files, err := os.ReadDir(n.opts.RunDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		n.t.Fatal(err)
	}
	for _, f := range files {
		pins = append(pins, f.Name())
	}
	return out + strings.Join(pins, "\n")
}

// inPod lists the agent's rules and routes in a pod.
func (n *node) inPod(p *netnsrig.Pod) string {
	n.t.Helper()
	out, err := p.Output(n.t.Context(), "sh", "-c",
		"for f in -4 -6; do ip $f rule | grep fwmark; ip $f route show table all | grep -w -e "+fmt.Sprint(routeTable)+" -e fd77:6569:7200:53::; done; true")
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// startSleep keeps a process in the pod's cgroup and namespace.
func startSleep(t *testing.T, p *netnsrig.Pod) (*exec.Cmd, error) {
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := p.Start(cmd); err != nil {
		return nil, err
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, nil
}
