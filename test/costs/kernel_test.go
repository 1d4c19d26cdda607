//go:build costs

package costs

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

// rounds of connects are measured, of which the median counts: a program may be
// preempted, and the time away is in its statistics.
const rounds, connects = 30, 1000

// What connect(2) costs in the kernel, by the programs' run-time statistics,
// less what these tell of a program that does nothing. The programs are
// attached to the pod's cgroup alone, so that nobody else's connections are
// among them.
func TestConnect(t *testing.T) {
	for _, tt := range []struct {
		name     string
		managed  bool
		change   func(*redirect.Pod)
		balanced bool
		bar      float64 // ns
	}{
		{"an unmanaged pod", false, nil, false, 100},
		{"a managed pod, by mark", true, nil, false, 500},
		{"a managed pod that excludes something else", true, func(p *redirect.Pod) {
			p.ExcludeCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			p.ExcludePorts, p.ExcludeUIDs = []uint16{9}, []uint32{4711}
		}, false, 600},
		{"a managed pod, by rewriting", true, func(p *redirect.Pod) { p.Rewrite = true }, false, 500},
		// Most of it is the kernel's allocation of the socket's storage; there is
		// no proxy on its way.
		{"a managed pod, balanced", true, nil, true, 1200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pods := netnsrig.Test(t, "client", "server")
			client, server := pods[0], pods[1]
			dir := "/sys/fs/bpf/weir-costs"
			r, err := redirect.Open(redirect.Options{Dir: dir, ConnectCgroup: client.Cgroup, SocketCgroup: client.Cgroup})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				r.Close()
				if _, err := redirect.Cleanup(dir); err != nil {
					t.Error(err)
				}
			})
			if tt.managed {
				manage(t, r, client, tt.change)
			}
			addr := swallow(t, server)
			if tt.balanced {
				service := netip.MustParseAddrPort("203.0.113.9:80")
				if err := r.SetServices(map[netip.AddrPort][]netip.AddrPort{service: {netip.MustParseAddrPort(addr)}}); err != nil {
					t.Fatal(err)
				}
				addr = service.String()
			}
			attachNothing(t, client.Cgroup, filepath.Join(dir, "links", nothing))
			stats, err := ebpf.EnableStats(uint32(unix.BPF_STATS_RUN_TIME))
			if err != nil {
				t.Fatal(err)
			}
			defer stats.Close()
			times := connectFrom(t, client, addr, filepath.Join(dir, "links"))
			floor := medianOf(times[nothing])
			measured(t, "connect in "+tt.name, medianOf(times["connect4"])-floor, tt.bar, "ns")
			for _, name := range []string{"sockops", "sk_lookup_1"} {
				if ns := medianOf(times[name]); ns > 0 {
					told("  a connection of it, program "+name, ns-floor, "ns")
				}
			}
		})
	}
}

// nothing is a program that does nothing.
const nothing = "nothing"

func attachNothing(t *testing.T, cgroup, pin string) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: ebpf.AttachCGroupInet4Connect, Program: prog})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Pin(pin); err != nil {
		t.Fatal(err)
	}
}

// connectFrom connects from the pod and returns how long each of the programs
// ran, in nanoseconds a connection, by round.
func connectFrom(t *testing.T, p *netnsrig.Pod, addr, links string) map[string][]float64 {
	t.Helper()
	times := map[string][]float64{}
	last := runTimes(t, links)
	for range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "WEIR_COSTS_CONNECT="+addr)
		cmd.Stderr = os.Stderr
		if err := p.Start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		now := runTimes(t, links)
		for name, total := range now {
			times[name] = append(times[name], (total-last[name])/connects)
		}
		last = now
	}
	return times
}

func medianOf(figures []float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(figures))[len(figures)/2]
}

// runTimes are the nanoseconds that the programs of pinned links have run.
func runTimes(t *testing.T, links string) map[string]float64 {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(links, "*"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]float64{}
	for _, file := range files {
		l, err := link.LoadPinnedLink(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		info, err := l.Info()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		prog, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			t.Fatal(err)
		}
		s, err := prog.Stats()
		if err != nil {
			t.Fatal(err)
		}
		prog.Close()
		times[filepath.Base(file)] = float64(s.Runtime.Nanoseconds())
	}
	return times
}

// manage does for a pod what the agent does; its proxy is this test.
func manage(t *testing.T, r *redirect.Redirect, p *netnsrig.Pod, change func(*redirect.Pod)) {
	t.Helper()
	const mark, port, id = 0x7e57, 15001, 1
	pod := redirect.Pod{ID: id, Name: "costs/client", Own: []netip.Addr{p.IPv4, p.IPv6}, Mark: mark, Inbound: true}
	if change != nil {
		change(&pod)
	}
	ns, err := netns.Open(p.Netns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	cookie, err := redirect.NetnsCookie(ns)
	if err != nil {
		t.Fatal(err)
	}
	listener := netip.AddrPortFrom(p.IPv4, port)
	fd, err := ns.Listen(netns.ListenOptions{Addr: listener, Transparent: !pod.Rewrite})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.SetListener(id, redirect.Outbound4, fd); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "listener")
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	swallowOf(t, l)
	if err := ns.InstallMarkRoute(netns.MarkRoute{Mark: mark, Table: mark, Priority: 100, Sources: []netip.Addr{p.IPv4}}); err != nil {
		t.Fatal(err)
	}
	if err := r.AttachNetns(redirect.Namespace{PodID: id, Cookie: cookie, FD: ns.FD(), Inode: ns.Inode()}); err != nil {
		t.Fatal(err)
	}
	pod.Cookie, pod.Outbound4 = cookie, listener
	if err := r.PutPod(pod); err != nil {
		t.Fatal(err)
	}
}

// swallow accepts every connection to the pod and closes it.
func swallow(t *testing.T, p *netnsrig.Pod) (addr string) {
	t.Helper()
	l, err := p.Listen("tcp", net.JoinHostPort(p.IPv4.String(), "80"))
	if err != nil {
		t.Fatal(err)
	}
	swallowOf(t, l)
	return l.Addr().String()
}

func swallowOf(t *testing.T, l net.Listener) { tcprig.Serve(t, l, func(net.Conn) {}) }

// connectLoop connects again and again, as fast as it can.
func connectLoop(addr string) error {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	sa := &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	for range connects {
		if err := connectOnce(sa); err != nil {
			return err
		}
	}
	return nil
}

func connectOnce(sa unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// Closed by a reset, it leaves no port in TIME_WAIT.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	return os.NewSyscallError("connect", unix.Connect(fd, sa))
}
