package bpf

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
)

// No kernel runs programs of this type by BPF_PROG_RUN, so these are asked by
// real sockets, in a pod of their own: what connect(2) returns, and what the
// programs left on the socket.

const testMark = 0x7e57

var (
	service4, service6 = netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::9")
	mapped             = netip.AddrFrom16(service4.As16())
)

type connector struct {
	t       *testing.T
	pod     *netnsrig.Pod
	cookie  uint64
	objects WeirObjects
}

func newConnector(t *testing.T) *connector {
	t.Helper()
	c := &connector{t: t, pod: netnsrig.Test(t, "a")[0]}
	ns, err := netns.Open(c.pod.Netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if c.cookie, err = ns.Cookie(); err != nil {
		t.Fatal(err)
	}
	spec, err := LoadWeir()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	if err := spec.LoadAndAssign(&c.objects, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.objects.Close() })
	c.attach(map[ebpf.AttachType]*ebpf.Program{
		ebpf.AttachCGroupInet4Connect: c.objects.WeirConnect4, ebpf.AttachCGroupInet6Connect: c.objects.WeirConnect6,
	})
	return c
}

func (c *connector) attach(programs map[ebpf.AttachType]*ebpf.Program) {
	c.t.Helper()
	root, err := cgroup2.Mount()
	if err != nil {
		c.t.Fatal(err)
	}
	for attach, prog := range programs {
		l, err := link.AttachCgroup(link.CgroupOptions{Path: root, Attach: attach, Program: prog})
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { l.Close() })
	}
}

func (c *connector) put(m *ebpf.Map, key, value any) {
	c.t.Helper()
	if err := m.Put(key, value); err != nil {
		c.t.Fatal(err)
	}
}

// manage writes the pod as the agent does, but for what is changed.
func (c *connector) manage(change func(*WeirPod, *WeirSettings)) {
	c.t.Helper()
	pod := WeirPod{PodId: podID, Mark: testMark, Ip4: c.pod.IPv4.As4(), Ip6: c.pod.IPv6.As16(), Outbound4Port: 15001, Outbound6Port: 15001}
	settings := WeirSettings{Version: 1}
	if change != nil {
		change(&pod, &settings)
	}
	for _, a := range []netip.Addr{c.pod.IPv4, c.pod.IPv6} {
		c.put(c.objects.WeirPodAddrs, WeirPodAddr{PodId: podID, Addr: a.As16()}, uint8(1))
	}
	c.put(c.objects.WeirSettings, uint32(0), settings)
	c.put(c.objects.WeirPods, c.cookie, pod)
}

// socket makes a non-blocking one in the pod.
func (c *connector) socket(domain, kind int) (fd int) {
	c.t.Helper()
	err := c.pod.Do(func() (err error) {
		fd, err = unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// decided is what the programs made of a socket.
type decided struct {
	denied bool
	mark   int
	orig   netip.AddrPort // rewritten: where it was going
}

func (c *connector) connect(fd int, to netip.Addr) decided {
	c.t.Helper()
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: 80, Addr: to.As16()}
	if to.Is4() {
		sa = &unix.SockaddrInet4{Port: 80, Addr: to.As4()}
	}
	d := decided{denied: errors.Is(unix.Connect(fd, sa), unix.EPERM)}
	var err error
	if d.mark, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK); err != nil {
		c.t.Fatal(err)
	}
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		c.t.Fatal(err)
	}
	var connecting WeirConnecting
	switch err := c.objects.WeirConnecting.Lookup(cookie, &connecting); {
	case err == nil:
		d.orig = netip.AddrPortFrom(netip.AddrFrom16(connecting.Orig.Addr).Unmap(), connecting.Orig.Port)
	case !errors.Is(err, ebpf.ErrKeyNotExist):
		c.t.Fatal(err)
	}
	return d
}

// counters are those that are not zero.
func (c *connector) counters() map[WeirCounter]uint64 {
	c.t.Helper()
	counts := map[WeirCounter]uint64{}
	var perCPU []uint64
	for i := range WeirCounterCOUNTERS {
		if err := c.objects.WeirCounters.Lookup(uint32(i), &perCPU); err != nil {
			c.t.Fatal(err)
		}
		for _, n := range perCPU {
			if n > 0 {
				counts[i] += n
			}
		}
	}
	return counts
}

func TestConnect(t *testing.T) {
	c := newConnector(t)
	self, err := cgroup2.Self()
	if err != nil {
		t.Fatal(err)
	}
	own, err := cgroup2.ID(self)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(p *WeirPod, _ *WeirSettings) { p.Rewrite = 1 }
	silent := func(open bool) func(*WeirPod, *WeirSettings) {
		return func(p *WeirPod, s *WeirSettings) {
			s.MaxSilenceMs = 1
			if open {
				p.FailOpen = 1
			}
		}
	}
	left := decided{}
	marked := decided{mark: testMark}
	denied := decided{denied: true}
	to := func(a netip.Addr) decided { return decided{orig: netip.AddrPortFrom(a, 80)} }
	for _, tt := range []struct {
		name    string
		to      netip.Addr
		kind    int // default: SOCK_STREAM
		change  func(*WeirPod, *WeirSettings)
		prepare func(fd int) error
		want    decided
		counter int // which goes up; -1: none
	}{
		{name: "IPv4", to: service4, want: marked, counter: int(WeirCounterCOUNT_MARKED)},
		{name: "IPv6", to: service6, want: marked, counter: int(WeirCounterCOUNT_MARKED)},
		{name: "mapped", to: mapped, want: marked, counter: int(WeirCounterCOUNT_MARKED)},
		{name: "rewriting", to: service4, change: rewrite, want: to(service4), counter: int(WeirCounterCOUNT_REWRITTEN)},
		{name: "rewriting, IPv6", to: service6, change: rewrite, want: to(service6), counter: int(WeirCounterCOUNT_REWRITTEN)},
		{name: "rewriting, mapped", to: mapped, change: rewrite, want: to(service4), counter: int(WeirCounterCOUNT_REWRITTEN)},
		{name: "loopback", to: loop4, want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "loopback, IPv6", to: loop6, want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "loopback, mapped", to: netip.AddrFrom16(loop4.As16()), want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "loopback that is to be caught", to: loop4, want: marked, counter: int(WeirCounterCOUNT_MARKED),
			change: func(p *WeirPod, _ *WeirSettings) { p.Loopback = 1 }},
		{name: "unspecified", to: netip.IPv4Unspecified(), want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "unspecified, IPv6", to: netip.IPv6Unspecified(), want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "link-local", to: netip.MustParseAddr("fe80::1"), want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "itself", to: c.pod.IPv4, want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "itself, IPv6", to: c.pod.IPv6, want: left, counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "the proxy's socket", to: service4, want: left, counter: int(WeirCounterCOUNT_BYPASS_SOCKET),
			prepare: func(fd int) error { return c.objects.WeirSkBypass.Put(int32(fd), uint32(1)) }},
		{name: "the proxy's cgroup", to: service4, want: left, counter: -1,
			change: func(p *WeirPod, _ *WeirSettings) { p.ProxyCgroup = own }},
		{name: "UDP", to: service4, kind: unix.SOCK_DGRAM, want: left, counter: -1},
		{name: "bypass", to: service4, want: left, counter: -1, change: func(_ *WeirPod, s *WeirSettings) { s.Bypass = 1 }},
		{name: "no address of the family", to: service6, want: denied, counter: int(WeirCounterCOUNT_FAILED),
			change: func(p *WeirPod, _ *WeirSettings) { p.Ip6 = [16]uint8{} }},
		{name: "no address of the family, open", to: service6, want: left, counter: int(WeirCounterCOUNT_FAILED),
			change: func(p *WeirPod, _ *WeirSettings) { p.Ip6, p.FailOpen = [16]uint8{}, 1 }},
		{name: "silent", to: service4, want: denied, counter: int(WeirCounterCOUNT_SILENT_CLOSED), change: silent(false)},
		{name: "silent, open", to: service4, want: left, counter: int(WeirCounterCOUNT_SILENT_OPEN), change: silent(true)},
		{name: "silent, a proxy that does not beat", to: service4, want: marked, counter: int(WeirCounterCOUNT_MARKED),
			change: func(p *WeirPod, s *WeirSettings) { s.MaxSilenceMs, p.External = 1, 1 }},
		{name: "another mark", to: service4, want: marked, counter: int(WeirCounterCOUNT_MARKED),
			prepare: func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1) }},
		{name: "bound to a device", to: service4, want: marked, counter: int(WeirCounterCOUNT_MARKED),
			prepare: func(fd int) error { return unix.BindToDevice(fd, "eth0") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			c.manage(tt.change)
			domain, kind := unix.AF_INET6, max(tt.kind, unix.SOCK_STREAM)
			if tt.to.Is4() {
				domain = unix.AF_INET
			}
			fd := c.socket(domain, kind)
			if tt.prepare != nil {
				if err := tt.prepare(fd); err != nil {
					t.Fatal(err)
				}
			}
			before := c.counters()
			if got := c.connect(fd, tt.to); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			for counter, n := range c.counters() {
				up := n - before[counter]
				if want := int(counter) == tt.counter; want && up != 1 || !want && up != 0 {
					t.Errorf("counter %d went up by %d", counter, up)
				}
			}
			if tt.counter >= 0 && c.counters()[WeirCounter(tt.counter)] == before[WeirCounter(tt.counter)] {
				t.Errorf("counter %d did not go up", tt.counter)
			}
			if dev, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err != nil || dev != "" {
				t.Errorf("bound to device %q, %v", dev, err)
			}
		})
	}
}

// A socket of which nobody knows the namespace is none of ours.
func TestConnectOfOthers(t *testing.T) {
	c := newConnector(t)
	if got := c.connect(c.socket(unix.AF_INET, unix.SOCK_STREAM), service4); got != (decided{}) {
		t.Errorf("%+v", got)
	}
	if got := c.counters(); len(got) != 0 {
		t.Errorf("counters %v", got)
	}
}
