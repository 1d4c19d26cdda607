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
		before, proxysBefore := agent.settledFDs(t), proxy.settledFDs(t)
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
