package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/netnsrig"
)

func modes(t *testing.T, test func(t *testing.T, mode func(*pods.Spec))) {
	for _, mode := range []pods.Mode{pods.Mark, pods.Rewrite} {
		t.Run(string(mode), func(t *testing.T) {
			test(t, func(s *pods.Spec) { s.Mode = mode })
		})
	}
}

const service = "203.0.113.9:80"

// The whole path: an unmodified client, the agent, and a proxy that is an
// ordinary user, in the node's namespace, with no capability.
func TestUnprivilegedProxy(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "server")
		a, server := rig[0], rig[1]
		n := newNode(t)
		n.startAgent()
		n.startProxy()
		n.addPod(a, func(s *pods.Spec) { mode(s); s.ExcludeInboundPorts = []uint16{9090} })
		wantAnswer(t, a, service, "outbound "+service)

		serve(t, server, ":81", "server")
		upstream := net.JoinHostPort(server.IPv4.String(), "81")
		wantAnswer(t, a, upstream, "outbound "+upstream+", which says: server to "+a.IPv4.String())

		serve(t, a, ":81", "app")
		serve(t, a, ":9090", "app")
		app := net.JoinHostPort(a.IPv4.String(), "81")
		wantAnswer(t, server, app, "inbound "+app+", which says: app to "+a.IPv4.String())
		wantAnswer(t, server, net.JoinHostPort(a.IPv4.String(), "9090"), "app to "+server.IPv4.String())
		wantAnswer(t, server, upstream, "server to "+server.IPv4.String()) // not managed

		if err := n.client().RemovePod(t.Context(), "default", "a"); err != nil {
			t.Fatal(err)
		}
		wantAnswer(t, a, upstream, "server to "+a.IPv4.String())
	})
}

// A connection made while there is no proxy waits for the next one.
func TestProxyRestart(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	first := n.startProxy()
	n.addPod(a, nil)
	wantAnswer(t, a, service, "outbound "+service)
	first.kill()
	c, err := a.Dial(t.Context(), "tcp", service)
	if err != nil {
		t.Fatalf("refused while there is no proxy: %v", err)
	}
	defer c.Close()
	n.startProxy()
	c.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(c); string(got) != "outbound "+service {
		t.Errorf("%q, %v", got, err)
	}
}

// No connection notices that the agent is killed and started again.
func TestAgentKilled(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		a := netnsrig.Test(t, "a")[0]
		n := newNode(t)
		first := n.startAgent()
		n.startProxy()
		n.addPod(a, mode)
		wantAnswer(t, a, service, "outbound "+service)
		first.kill()
		wantAnswer(t, a, service, "outbound "+service)
		n.startAgent()
		wantAnswer(t, a, service, "outbound "+service)
		n.wantState("a", "caught") // the proxy has returned the sockets
		wantAnswer(t, a, service, "outbound "+service)
		if got := n.status().Pods[0]; got.ID != 1 || got.Source != "added" {
			t.Errorf("after the restart: %+v", got)
		}
	})
}

func TestAgentAndProxyKilled(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		a := netnsrig.Test(t, "a")[0]
		n := newNode(t)
		agent, proxy := n.startAgent(), n.startProxy()
		n.addPod(a, mode)
		agent.kill()
		proxy.kill()
		n.startAgent()
		n.startProxy()
		wantAnswer(t, a, service, "outbound "+service)
	})
}

// A proxy that dies while there is no agent takes the sockets with it.
func TestProxyDiesBeforeItReturnsSockets(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	agent, proxy := n.startAgent(), n.startProxy()
	n.addPod(a, nil)
	agent.kill()
	if err := proxy.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.startAgent()
	n.wantState("a", "waiting")
	proxy.kill()
	n.wantState("a", "caught")
	n.startProxy()
	wantAnswer(t, a, service, "outbound "+service)
}

// A proxy that neither dies nor returns its sockets does not keep another
// from serving.
func TestProxyHangs(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		a := netnsrig.Test(t, "a")[0]
		n := newNode(t)
		agent, proxy := n.startAgent(), n.startProxy()
		n.addPod(a, mode)
		agent.kill()
		if err := proxy.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		n.startAgent()
		n.startProxy()
		n.wantState("a", "caught")
		wantAnswer(t, a, service, "outbound "+service)
	})
}

func TestCleanupLeavesNothing(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		a := netnsrig.Test(t, "a")[0]
		n := newNode(t)
		before := n.left(a)
		agent := n.startAgent()
		n.addPod(a, mode)
		if n.left(a) == before {
			t.Error("the agent left nothing to clean up")
		}
		if _, err := Cleanup(t.Context(), n.opts); err == nil {
			t.Error("cleanup went ahead under a running agent")
		}
		agent.kill()
		removed, err := Cleanup(t.Context(), n.opts)
		if err != nil {
			t.Error(err)
		}
		if after := n.left(a); after != before {
			t.Errorf("left after cleanup:\n%s\nremoved:\n%s", after, strings.Join(removed, "\n"))
		}
		if again, err := Cleanup(t.Context(), n.opts); err != nil || len(again) != 0 {
			t.Errorf("a second cleanup: %q, %v", again, err)
		}
	})
}

// The sysctl that keeping clients' addresses needs is taken back, too.
func TestCleanupOfKeptClients(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	before := n.left(a)
	agent := n.startAgent()
	n.addPod(a, func(s *pods.Spec) { s.Mode, s.KeepClientAddress = pods.Rewrite, true })
	agent.kill()
	if _, err := Cleanup(t.Context(), n.opts); err != nil {
		t.Error(err)
	}
	if after := n.left(a); after != before {
		t.Errorf("left after cleanup:\n%s", after)
	}
	if out, err := a.Output(t.Context(), "cat", "/proc/sys/net/ipv4/tcp_fwmark_accept"); out != "0\n" {
		t.Errorf("tcp_fwmark_accept is %s, %v", out, err)
	}
}

func TestRemovedPodIsClean(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	before := n.left(a)
	n.addPod(a, nil)
	if err := n.client().RemovePod(t.Context(), "default", "a"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(n.opts.stateFile()); err != nil {
		t.Fatal(err)
	}
	if after := n.left(a); after != before {
		t.Errorf("left in the pod:\n%s\nwant:\n%s", after, before)
	}
}

// A namespace that goes is let go by all: sockets would keep it alive.
func TestNamespaceGoes(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	wantAnswer(t, a, service, "outbound "+service)
	if err := unix.Unmount(a.Netns, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(a.Netns); err != nil {
		t.Fatal(err)
	}
	n.wantState("a", "failed")
	// What connects now goes to the service itself, and nobody has its address.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := a.Dial(ctx, "tcp", service); err == nil {
		c.Close()
		t.Error("still caught")
	}
}

func TestConfigFile(t *testing.T) {
	rig := netnsrig.Test(t, "a", "b")
	n := newNode(t)
	n.opts.Config = filepath.Join(n.opts.RunDir, "agent.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(n.opts.Config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pods: [{name: a, netns: " + rig[0].Netns + "}, {name: late, netns: /run/netns/none}]")
	agent := n.startAgent()
	n.startProxy()
	wantAnswer(t, rig[0], service, "outbound "+service)
	n.wantState("late", "failed")
	if err := n.client().RemovePod(t.Context(), "default", "a"); err == nil || !strings.Contains(err.Error(), "agent.yaml") {
		t.Errorf("removed a pod of the configuration: %v", err)
	}
	write("pods: [{name: b, netns: " + rig[1].Netns + "}]")
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.wantState("b", "caught")
	n.wantState("a", "")
	wantAnswer(t, rig[1], service, "outbound "+service)
	write("pods: [{name: b, colour: red}]")
	agent.cmd.Process.Signal(syscall.SIGHUP)
	wantAnswer(t, rig[1], service, "outbound "+service) // the old one stays
}

func TestAddPodRefuses(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.addPod(a, nil)
	for want, spec := range map[string]pods.Spec{
		"is there already":           {Name: "a", Netns: a.Netns},
		"the same network namespace": {Name: "twin", Netns: a.Netns},
		"no such file":               {Name: "b", Netns: "/run/netns/none"},
		"the node's own":             {Name: "host", Netns: "/proc/self/ns/net"},
		"not a namespace":            {Name: "c", Netns: "/etc/hostname"},
		"absolute path":              {Name: "d", Netns: "netns"},
	} {
		if err := n.client().AddPod(context.Background(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", spec, err, want)
		}
	}
	if got := n.status().Pods; len(got) != 1 {
		t.Errorf("pods %+v", got)
	}
}

// Pods come and go for as long as a node lives.
func TestDescriptorsDoNotLeak(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	agent, proxy := n.startAgent(), n.startProxy()
	cycle := func() {
		n.addPod(a, nil)
		wantAnswer(t, a, service, "outbound "+service)
		if err := n.client().RemovePod(t.Context(), "default", "a"); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	before := map[*process]int{agent: agent.fds(t), proxy: proxy.fds(t)}
	for range 10 {
		cycle()
	}
	for p, fds := range before {
		n.eventually("descriptors are closed", func() bool { return p.fds(t) <= fds })
	}
}

func TestFilter(t *testing.T) {
	e := Event{Pod: "shop/web", Verdict: "denied", Service: "payments", Destination: netip.MustParseAddrPort("10.1.2.3:80")}
	for f, want := range map[Filter]bool{
		{}: true, {Pod: "web"}: true, {Pod: "shop/web"}: true, {Pod: "eb"}: false, {Pod: "other/web"}: false,
		{Verdict: "denied"}: true, {Verdict: "marked"}: false,
		{Service: "payments"}: true, {Service: "pay"}: false, {Port: 80}: true, {Port: 81}: false,
		{To: netip.MustParsePrefix("10.1.0.0/16")}: true, {To: netip.MustParsePrefix("10.2.0.0/16")}: false,
		{Pod: "web", Verdict: "marked"}: false,
	} {
		if got := f.passes(e); got != want {
			t.Errorf("%+v passes %v, want %v", f, got, want)
		}
	}
}

func TestObserve(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	if err := Observe(t.Context(), n.opts, Filter{}, "table", io.Discard); err == nil || !strings.Contains(err.Error(), "no agent") {
		t.Errorf("without an agent: %v", err)
	}
	n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error)
	go func() { done <- Observe(ctx, n.opts, Filter{Pod: "a", Verdict: "marked"}, "json", w) }()
	// It may not have begun yet, so connect until something is seen.
	var connecting sync.WaitGroup
	defer connecting.Wait()
	defer cancel()
	connecting.Go(func() {
		for ctx.Err() == nil {
			a.Output(ctx, "curl", "-s", "--http0.9", "http://"+service)
		}
	})
	var e Event
	if err := json.NewDecoder(r).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if e.Pod != "default/a" || e.Verdict != "marked" || e.Destination.String() != service || e.State != StateOpened || e.Command != "curl" || time.Since(e.Time).Abs() > time.Minute {
		t.Errorf("%+v", e)
	}
	cancel()
	go io.Copy(io.Discard, r)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A pod that has just been joined to its network has addresses that cannot be
// used yet.
func TestTentativeAddress(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	if out, err := a.Output(t.Context(), "ip", "addr", "add", "fd77:ffff::1/64", "dev", "eth0"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.addPod(a, nil)
	if got := n.status().Pods[0].Addresses; len(got) != 3 {
		t.Errorf("addresses %v, want 3", got)
	}
}

func TestMetrics(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.opts.MetricsAddress = l.Addr().String()
	l.Close()
	n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	wantAnswer(t, a, service, "outbound "+service)
	resp, err := http.Get("http://" + n.opts.MetricsAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`weir_agent_connections_total{decision="outbound_marked"} 1`, `weir_agent_pods{state="caught"} 1`,
		"weir_agent_proxies 1", "weir_agent_proxy_silence_seconds ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestWaitReady(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	wait := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := n.client().WaitReady(ctx)
		return err
	}
	if err := wait(); err == nil || !strings.Contains(err.Error(), "no agent answers") {
		t.Errorf("without an agent: %v", err)
	}
	n.startAgent()
	n.addPod(a, nil)
	if err := wait(); err == nil || !strings.Contains(err.Error(), "no proxy is connected") {
		t.Errorf("without a proxy: %v", err)
	}
	n.startProxy()
	if s, err := n.client().WaitReady(t.Context()); err != nil || len(s.Pods) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestNetnsOfCgroup(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	if _, err := startSleep(t, a); err != nil {
		t.Fatal(err)
	}
	n.addPod(a, func(s *pods.Spec) { s.Netns = "" })
	wantAnswer(t, a, service, "outbound "+service)
}
