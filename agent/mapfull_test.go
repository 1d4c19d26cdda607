package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/bpf"
	"github.com/weirproxy/weir/internal/netnsrig"
)

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
			configure := func(text string) {
				t.Helper()
				if err := os.WriteFile(n.opts.Config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			configure("pods: []")
			agent := n.startAgent()
			reload := func() {
				t.Helper()
				if err := agent.cmd.Process.Signal(unix.SIGHUP); err != nil {
					t.Fatal(err)
				}
			}
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
			configure(text)
			reload()
			n.wantState("a", "failed")
			if got, want := n.status().Pods[0].Error, fmt.Sprintf("%s is full: it holds %d entries", tt.name, number); !strings.Contains(got, want) {
				t.Errorf("the agent says %q, want %q", got, want)
			}
			configure("pods: []") // it is no longer tried
			reload()
			n.wantState("a", "")
			if got := n.inPod(a); got != before {
				t.Errorf("left in the pod:\n%s", got)
			}
			configure(text)
			reload()
			n.wantState("a", "failed")
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

// Where a rewritten connection was going is known even if the proxy's socket has
// no memory for it.
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
	wantAnswer(t, a, addr, "outbound "+addr)
	if failed := n.status().Counters["failed"]; failed != 0 {
		t.Errorf("%d failures counted", failed)
	}
}
