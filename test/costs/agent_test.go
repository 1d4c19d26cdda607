//go:build costs

package costs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/internal/noderig"
)

// What a node full of pods costs: the time to catch each, the agent's memory
// and what it does while nothing happens.
func TestManyPods(t *testing.T) {
	const many = 250
	n := newNode(t)
	if err := n.StartAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	var times []float64
	idle := cpuTime(t, n.Agent)
	for i := range many {
		p := addPod(t, n, fmt.Sprintf("pod%d", i))
		begin := time.Now()
		if err := n.Client().AddPod(t.Context(), pods.Spec{Name: p.Name, Netns: p.Netns, Cgroup: p.Cgroup}); err != nil {
			t.Fatal(err)
		}
		times = append(times, milliseconds(time.Since(begin)))
	}
	measured(t, "catching a pod, the median", medianOf(times), 5, "ms")
	measured(t, "catching a pod, the last 50 of 250", medianOf(times[many-50:]), 5, "ms")
	told("  of which are the agent's CPU", milliseconds(cpuTime(t, n.Agent)-idle)/many, "ms")
	measured(t, "the agent's memory (RSS) with 250 pods", float64(status(t, n, "VmRSS"))/1024, 40, "MB")
	before := cpuTime(t, n.Agent)
	time.Sleep(10 * time.Second) // what is measured is time
	told("the agent's CPU with 250 pods, while nothing happens", milliseconds(cpuTime(t, n.Agent)-before)/10, "ms a second")
	times = nil
	for _, p := range n.Rig.Pods() {
		begin := time.Now()
		if err := n.Client().RemovePod(t.Context(), "default", p.Name); err != nil {
			t.Fatal(err)
		}
		times = append(times, milliseconds(time.Since(begin)))
	}
	told("letting a pod go, the median", medianOf(times), "ms")
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// status is a field of /proc/PID/status of the agent, in kB.
func status(t *testing.T, n *noderig.Node, field string) (kB int) {
	t.Helper()
	f, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Agent.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(f)) {
		if _, err := fmt.Sscanf(line, field+": %d kB", &kB); err == nil {
			return kB
		}
	}
	t.Fatalf("no %s", field)
	return 0
}

// What an upstream socket of the agent's costs a proxy, over one that it makes
// itself.
func TestUpstreamSockets(t *testing.T) {
	const sockets = 20000
	n := newNode(t)
	if err := n.StartAgent(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := addPod(t, n, "client")
	if err := n.Client().AddPod(t.Context(), pods.Spec{Name: p.Name, Netns: p.Netns}); err != nil {
		t.Fatal(err)
	}
	c, err := handoff.Dial(filepath.Join(n.RunDir, "proxy.sock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	added := make(chan handoff.Pod, 1)
	go c.Run(t.Context(), events{added})
	pod := <-added

	own := each(t, sockets, func() (int, error) {
		return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	})
	agents := each(t, sockets, func() (int, error) {
		if fd, ok := c.TakeUpstream(pod.ID, handoff.IPv4, handoff.TCP); ok {
			return fd, nil
		}
		fds, err := c.UpstreamSockets(pod.ID, handoff.IPv4, 1)
		if err != nil {
			return -1, err
		}
		return fds[0], nil
	})
	told("a socket that the proxy makes itself", own, "µs")
	measured(t, "what one from the agent adds", agents-own, 10, "µs")
}

// each is the time in microseconds that making and closing a socket takes.
func each(t *testing.T, n int, socket func() (int, error)) float64 {
	t.Helper()
	begin := time.Now()
	for range n {
		fd, err := socket()
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	return milliseconds(time.Since(begin)) * 1000 / float64(n)
}

type events struct{ added chan handoff.Pod }

func (e events) PodAdded(p handoff.Pod) { e.added <- p }
func (e events) PodChanged(handoff.Pod) {}
func (e events) PodRemoved(uint32)      {}
func (e events) Yield(bool)             {}

func (e events) PeersChanged([]handoff.Peer, []string) {}

func (e events) DNSServersMoved(_, _ uint32, servers int) { unix.Close(servers) }

// cpuTime is what a process has used.
func cpuTime(t *testing.T, p *noderig.Process) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		t.Fatal(err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * tick
}

// tick is USER_HZ on every architecture that weir runs on.
const tick = 10 * time.Millisecond
