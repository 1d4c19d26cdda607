package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// The agent is killed while pods start: who was told that a pod is caught can
// rely on it, who was not asks again, and nothing half-done is left.
func TestAgentKilledWhilePodsStart(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		rig := netnsrig.Test(t, "a", "b", "c", "d", "e", "f")
		n := newNode(t)
		before := n.left(rig[0])
		agent := n.startAgent()
		n.startProxy()
		caught := map[*netnsrig.Pod]bool{}
		for after := 0; len(caught) < len(rig); after++ {
			// Until the proxy has come back nobody else holds the listeners.
			n.eventually("the proxy has joined", func() bool { return len(n.status().Proxies) == 1 })
			told := make(chan *netnsrig.Pod, len(rig))
			var asking sync.WaitGroup
			for _, p := range rig {
				if !caught[p] {
					asking.Go(func() {
						if n.isAdded(p, mode) {
							told <- p
						}
					})
				}
			}
			go func() { asking.Wait(); close(told) }()
			for range after { // let so many through, then kill it
				if p, ok := <-told; ok {
					caught[p] = true
				}
			}
			agent.kill()
			for p := range told {
				caught[p] = true
			}
			for p := range caught {
				wantAnswer(t, p, service, "outbound "+service)
			}
			agent = n.startAgent()
		}
		for _, p := range rig {
			wantAnswer(t, p, service, "outbound "+service)
			if err := n.client().RemovePod(t.Context(), "default", p.Name); err != nil {
				t.Error(err)
			}
		}
		agent.kill()
		if _, err := Cleanup(t.Context(), n.opts); err != nil {
			t.Error(err)
		}
		for _, p := range rig {
			if after := n.left(p); after != before {
				t.Errorf("left of pod %s:\n%s", p.Name, after)
			}
		}
	})
}

// isAdded asks the agent, which may end meanwhile, to add the pod.
func (n *node) isAdded(p *netnsrig.Pod, mode func(*pods.Spec)) bool {
	spec := pods.Spec{Name: p.Name, Netns: p.Netns, Cgroup: p.Cgroup}
	mode(&spec)
	err := n.client().AddPod(n.t.Context(), spec)
	return err == nil || strings.Contains(err.Error(), "is there already")
}

// The bpf file system is unmounted under a running agent, and mounted again:
// what is in the kernel is pinned again, so that it outlives the agent.
func TestBPFFSRemounted(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	mounts := ownBPFFS(t)
	n.wrap = []string{"nsenter", mounts}
	inside := func(command string) string {
		t.Helper()
		out, err := exec.Command("nsenter", mounts, "sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
		return string(out)
	}
	agent := n.startAgent()
	n.startProxy()
	n.addPod(a, func(s *pods.Spec) { s.Mode = pods.Rewrite }) // has every link
	pinned := inside("cd " + n.opts.BPFDir + " && find . | sort")
	for name, command := range map[string]string{
		"unmounted":           "umount /sys/fs/bpf",
		"remounted":           "umount /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf",
		"another on top":      "mount -t bpf bpf /sys/fs/bpf",
		"a link's file gone":  "rm " + n.opts.BPFDir + "/links/connect4",
		"the directory gone":  "rm -r " + n.opts.BPFDir,
		"nothing but options": "mount -o remount /sys/fs/bpf",
	} {
		inside(command)
		wantAnswer(t, a, service, "outbound "+service)
		n.eventually(name+": all is pinned again", func() bool {
			return inside("cd "+n.opts.BPFDir+" 2>/dev/null && find . | sort || true") == pinned
		})
		agent.kill()
		wantAnswer(t, a, service, "outbound "+service)
		agent = n.startAgent()
		n.wantState("a", "caught")
		wantAnswer(t, a, service, "outbound "+service)
	}
}

// ownBPFFS makes a mount namespace with a bpf file system of its own, so that
// nobody else's is unmounted. It returns nsenter's flag.
func ownBPFFS(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "slave",
		"sh", "-c", "mount -t bpf bpf /sys/fs/bpf && echo && exec sleep 1000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal("the bpf file system is not mounted:", err)
	}
	return fmt.Sprintf("--mount=/proc/%d/ns/mnt", cmd.Process.Pid)
}

// A map has no room for one pod more: that pod is not caught, the agent says
// why, nothing half-done is left in it, and it is caught when there is room.
func TestMapFull(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.opts.Config = filepath.Join(n.opts.RunDir, "agent.yaml")
	text := "pods: [{name: a, netns: " + a.Netns + ", exclude_inbound_ports: [9090]}]"
	for _, tt := range []struct {
		name  string
		key   func(i uint32) any
		value any
	}{
		{bpf.WeirMapWeirPods, func(i uint32) any { return 1<<40 + uint64(i) }, bpf.WeirPod{}},
		{bpf.WeirMapWeirPodAddrs, func(i uint32) any { return bpf.WeirPodAddr{PodId: 1<<31 + i} }, uint8(1)},
		{bpf.WeirMapWeirInExclude, func(i uint32) any { return bpf.WeirPodPort{PodId: 1<<31 + i} }, uint8(1)},
		{bpf.WeirMapWeirListeners, func(i uint32) any { return bpf.WeirListenerKey{PodId: 1<<31 + i} }, listeningSocket(t)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.t = t
			if err := os.WriteFile(n.opts.Config, []byte("pods: []"), 0o600); err != nil {
				t.Fatal(err)
			}
			agent := n.startAgent()
			proxy := n.startProxy()
			before := n.inPod(a)
			m, err := ebpf.LoadPinnedMap(filepath.Join(n.opts.BPFDir, tt.name), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			number := m.MaxEntries()
			for i := range number {
				if err := m.Put(tt.key(i), tt.value); err != nil {
					t.Fatalf("entry %d: %v", i, err)
				}
			}
			if err := os.WriteFile(n.opts.Config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := agent.cmd.Process.Signal(unix.SIGHUP); err != nil {
				t.Fatal(err)
			}
			n.wantState("a", "failed")
			if got, want := n.status().Pods[0].Error, fmt.Sprintf("%s is full: it holds %d entries", tt.name, number); !strings.Contains(got, want) {
				t.Errorf("the agent says %q, want %q", got, want)
			}
			if got := n.inPod(a); got != before {
				t.Errorf("left in the pod:\n%s", got)
			}
			for i := range number {
				if err := m.Delete(tt.key(i)); err != nil {
					t.Fatal(err)
				}
			}
			n.wantState("a", "caught")
			wantAnswer(t, a, service, "outbound "+service)
			proxy.kill()
			agent.kill()
			if _, err := Cleanup(t.Context(), n.opts); err != nil {
				t.Error(err)
			}
		})
	}
}

// listeningSocket is a descriptor as weir_listeners takes it.
func listeningSocket(t *testing.T) uint64 {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	return uint64(fd)
}

// The map that carries original destinations evicts what is oldest: it is
// never full.
func TestOriginalDestinationsNeverFull(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	n.addPod(a, func(s *pods.Spec) { s.Mode = pods.Rewrite })
	m, err := ebpf.LoadPinnedMap(filepath.Join(n.opts.BPFDir, bpf.WeirMapWeirConnOrig), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range m.MaxEntries() + 1000 {
		key := bpf.WeirConn{}
		*(*uint32)(unsafe.Pointer(&key.LocalAddr)) = i
		if err := m.Put(key, bpf.WeirOrig{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		wantAnswer(t, a, service, "outbound "+service)
	}
}

// A socket has no memory left for its original destination: the pod's policy
// decides, and the agent counts it. The mark takes no memory.
func TestNoMemoryForOriginalDestination(t *testing.T) {
	const optmem = "/proc/sys/net/core/optmem_max"
	rig := netnsrig.Test(t, "a", "server")
	a, server := rig[0], rig[1]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	n.addPod(a, func(s *pods.Spec) { s.Mode = pods.Rewrite })
	serve(t, server, ":80", "server")
	addr := server.IPv4.String() + ":80"
	wantAnswer(t, a, addr, "outbound "+addr)
	if out, err := a.Output(t.Context(), "sh", "-c", "echo 64 > "+optmem); err != nil {
		t.Skipf("before Linux 6.9 namespaces have no limit of their own: %s", out)
	}
	if got := ask(t, a, addr); !strings.Contains(got, unix.EPERM.Error()) {
		t.Errorf("policy closed: %q", got)
	}
	if failed := n.status().Counters["failed"]; failed != 1 {
		t.Errorf("%d failures counted, want 1", failed)
	}
	remove := func() {
		if err := n.client().RemovePod(t.Context(), "default", "a"); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	n.addPod(a, func(s *pods.Spec) { s.Mode, s.Policy = pods.Rewrite, pods.Open })
	wantAnswer(t, a, addr, "server to "+a.IPv4.String())
	remove()
	n.addPod(a, nil)
	wantAnswer(t, a, addr, "outbound "+addr)
}

// Namespaces that vanish while the agent works on them leave nothing behind.
func TestNamespaceVanishesMidOperation(t *testing.T) {
	modes(t, func(t *testing.T, mode func(*pods.Spec)) {
		names := make([]string, 20)
		for i := range names {
			names[i] = fmt.Sprintf("p%d", i)
		}
		rig := netnsrig.Test(t, names...)
		n := newNode(t)
		agent := n.startAgent()
		proxy := n.startProxy()
		n.addPod(rig[0], mode)
		wantAnswer(t, rig[0], service, "outbound "+service)
		before := agent.fds(t)
		proxysBefore := proxy.fds(t)
		var working sync.WaitGroup
		for i, p := range rig[1:] {
			added := make(chan struct{})
			working.Go(func() { n.isAdded(p, mode); close(added) })
			working.Go(func() {
				if i%2 == 0 {
					<-added // else while it is added
				}
				vanish(t, p)
			})
		}
		working.Wait()
		for _, p := range rig[1:] {
			n.client().RemovePod(t.Context(), "default", p.Name) // most were never there
		}
		n.eventually("all is as before", func() bool {
			return agent.fds(t) <= before && proxy.fds(t) <= proxysBefore
		})
		for name, want := range map[string]int{
			bpf.WeirMapWeirPods: 1, bpf.WeirMapWeirPodAddrs: 2, bpf.WeirMapWeirListeners: 4,
		} {
			if got := n.entries(name); got != want {
				t.Errorf("%s has %d entries, want %d", name, got, want)
			}
		}
		links, err := filepath.Glob(n.opts.BPFDir + "/links/sk_lookup_*")
		if err != nil || len(links) != 1 {
			t.Errorf("links %q, %v; want that of one pod", links, err)
		}
		wantAnswer(t, rig[0], service, "outbound "+service)
	})
}

func vanish(t *testing.T, p *netnsrig.Pod) {
	if err := errors.Join(unix.Unmount(p.Netns, unix.MNT_DETACH), os.Remove(p.Netns), p.Forget()); err != nil {
		t.Error(err)
	}
}

// entries counts a map's; of a sockhash, too, whose values are not to be read.
func (n *node) entries(name string) int {
	n.t.Helper()
	m, err := ebpf.LoadPinnedMap(filepath.Join(n.opts.BPFDir, name), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer m.Close()
	count := 0
	var key any // nil: the first
	for next := make([]byte, m.KeySize()); m.NextKey(key, next) == nil; key = next {
		count++
	}
	return count
}

// Another program flushes what the agent put into the pod's routing.
func TestRoutesAreMended(t *testing.T) {
	a := netnsrig.Test(t, "a")[0]
	n := newNode(t)
	n.startAgent()
	n.startProxy()
	n.addPod(a, nil)
	was := n.inPod(a)
	if out, err := a.Output(t.Context(), "sh", "-c", fmt.Sprintf("ip rule del pref %d; ip -6 route flush table %d", routePriority, routeTable)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n.eventually("they are there again", func() bool { return n.inPod(a) == was })
	wantAnswer(t, a, service, "outbound "+service)
}
