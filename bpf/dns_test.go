package bpf

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/cgroup2"
)

// The programs for DNS, one decision a case, by real sockets as in
// connect_test.go. Those that restore the server are not attached, so that
// getpeername shows the alias.

const dnsSlot, dnsPort4, dnsPort6 = 5, 15053, 15054

func newAsker(t *testing.T) *connector {
	t.Helper()
	c := newConnector(t)
	root, err := cgroup2.Mount()
	if err != nil {
		t.Fatal(err)
	}
	for attach, prog := range map[ebpf.AttachType]*ebpf.Program{
		ebpf.AttachCGroupInet4Connect: c.objects.WeirDnsConnect4, ebpf.AttachCGroupInet6Connect: c.objects.WeirDnsConnect6,
		ebpf.AttachCGroupUDP4Sendmsg: c.objects.WeirDnsSendmsg4, ebpf.AttachCGroupUDP6Sendmsg: c.objects.WeirDnsSendmsg6,
	} {
		l, err := link.AttachCgroup(link.CgroupOptions{Path: root, Attach: attach, Program: prog})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	c.put(c.objects.WeirDnsPods, c.cookie, WeirDnsPod{Slot: dnsSlot, Port4: dnsPort4, Port6: dnsPort6})
	return c
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func peer(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	name, err := unix.Getpeername(fd)
	if err != nil {
		t.Fatal(err)
	}
	if sa, ok := name.(*unix.SockaddrInet4); ok {
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	}
	sa := name.(*unix.SockaddrInet6)
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
}

func TestDNSConnect(t *testing.T) {
	c := newAsker(t)
	silent := func(open uint8) func(*WeirPod, *WeirSettings) {
		return func(p *WeirPod, s *WeirSettings) { p.FailOpen, s.MaxSilenceMs = open, 1 }
	}
	ap := netip.MustParseAddrPort
	for _, tt := range []struct {
		name    string
		to      string
		change  func(*WeirPod, *WeirSettings)
		prepare func(fd int) error
		want    string // empty: denied
		counter int    // -1: none
	}{
		{name: "IPv4", to: "203.0.113.9:53", want: "127.53.0.1:15053", counter: int(WeirCounterCOUNT_DNS)},
		{name: "the same again", to: "203.0.113.9:53", want: "127.53.0.1:15053", counter: int(WeirCounterCOUNT_DNS)},
		{name: "IPv6", to: "[2001:db8::9]:53", want: "[fd77:6569:7200:53::2]:15054", counter: int(WeirCounterCOUNT_DNS)},
		{name: "mapped", to: "[::ffff:203.0.113.9]:53", want: "[::ffff:127.53.0.1]:15053", counter: int(WeirCounterCOUNT_DNS)},
		{name: "another", to: "203.0.113.10:53", want: "127.53.0.3:15053", counter: int(WeirCounterCOUNT_DNS)},
		{name: "another port", to: "203.0.113.9:54", want: "203.0.113.9:54", counter: -1},
		{name: "loopback", to: "127.0.0.53:53", want: "127.0.0.53:53", counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "loopback that is to be caught", to: "127.0.0.53:53", want: "127.53.0.4:15053", counter: int(WeirCounterCOUNT_DNS),
			change: func(p *WeirPod, _ *WeirSettings) { p.Loopback = 1 }},
		{name: "the pod itself", to: c.pod.IPv4.String() + ":53", want: c.pod.IPv4.String() + ":53", counter: int(WeirCounterCOUNT_OWN_ADDRESS)},
		{name: "bypass", to: "203.0.113.9:53", want: "203.0.113.9:53", counter: -1,
			change: func(_ *WeirPod, s *WeirSettings) { s.Bypass = 1 }},
		{name: "the proxy's own socket", to: "203.0.113.9:53", want: "203.0.113.9:53", counter: int(WeirCounterCOUNT_BYPASS_SOCKET),
			prepare: func(fd int) error { return c.objects.WeirSkBypass.Put(int32(fd), uint32(1)) }},
		{name: "bound to a device", to: "203.0.113.9:53", want: "127.53.0.1:15053", counter: int(WeirCounterCOUNT_DNS),
			prepare: func(fd int) error { return unix.BindToDevice(fd, "eth0") }},
		{name: "silent, closed", to: "203.0.113.9:53", counter: int(WeirCounterCOUNT_SILENT_CLOSED), change: silent(0)},
		{name: "silent, open", to: "203.0.113.9:53", want: "203.0.113.9:53", counter: int(WeirCounterCOUNT_SILENT_OPEN), change: silent(1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.t = t
			c.manage(tt.change)
			to := ap(tt.to)
			domain := unix.AF_INET6
			if to.Addr().Is4() {
				domain = unix.AF_INET
			}
			fd := c.socket(domain, unix.SOCK_DGRAM)
			if tt.prepare != nil {
				if err := tt.prepare(fd); err != nil {
					t.Fatal(err)
				}
			}
			before := c.counters()
			err := unix.Connect(fd, sockaddr(to))
			if tt.want == "" {
				if !errors.Is(err, unix.EPERM) {
					t.Errorf("connect: %v, want EPERM", err)
				}
			} else if err != nil {
				t.Error(err)
			} else if got := peer(t, fd); got != ap(tt.want) {
				t.Errorf("connected to %s, want %s", got, tt.want)
			}
			for counter, n := range c.counters() {
				if want := before[counter] + map[bool]uint64{true: 1}[int(counter) == tt.counter]; n != want {
					t.Errorf("counter %d is %d, want %d", counter, n, want)
				}
			}
		})
	}
}

// The seventeenth server is left alone, and so is TCP.
func TestDNSTableIsFull(t *testing.T) {
	c := newAsker(t)
	c.manage(nil)
	for i := range 18 {
		to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 53)
		want := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 53, 0, byte(i + 1)}), dnsPort4)
		if i >= 16 {
			want = to
		}
		fd := c.socket(unix.AF_INET, unix.SOCK_DGRAM)
		if err := unix.Connect(fd, sockaddr(to)); err != nil {
			t.Fatal(err)
		}
		if got := peer(t, fd); got != want {
			t.Errorf("server %d: connected to %s, want %s", i+1, got, want)
		}
	}
	if n := c.counters(); n[WeirCounterCOUNT_DNS] != 16 || n[WeirCounterCOUNT_DNS_LEFT_ALONE] != 2 {
		t.Errorf("counters %v", n)
	}
	fd := c.socket(unix.AF_INET, unix.SOCK_STREAM)
	unix.Connect(fd, sockaddr(netip.MustParseAddrPort("203.0.113.1:53"))) // is under way
	if n := c.counters(); n[WeirCounterCOUNT_DNS] != 16 {
		t.Errorf("TCP is taken for UDP: %v", n)
	}
}

// Datagrams of sockets that are not connected arrive at the alias.
func TestDNSSendmsg(t *testing.T) {
	c := newAsker(t)
	c.manage(nil)
	at := c.socket(unix.AF_INET, unix.SOCK_DGRAM)
	if err := unix.Bind(at, sockaddr(netip.MustParseAddrPort("127.53.0.1:15053"))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		domain int
		to     string
	}{{unix.AF_INET, "203.0.113.9:53"}, {unix.AF_INET6, "[::ffff:203.0.113.9]:53"}} {
		from := c.socket(tt.domain, unix.SOCK_DGRAM)
		if err := unix.Sendto(from, []byte(tt.to), 0, sockaddr(netip.MustParseAddrPort(tt.to))); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, _, err := unix.Recvfrom(at, buf, 0); err != nil || string(buf[:n]) != tt.to {
			t.Errorf("to %s: %q, %v", tt.to, buf[:n], err)
		}
	}
	c.manage(func(p *WeirPod, s *WeirSettings) { s.MaxSilenceMs = 1 })
	from := c.socket(unix.AF_INET, unix.SOCK_DGRAM)
	if err := unix.Sendto(from, []byte("x"), 0, sockaddr(netip.MustParseAddrPort("203.0.113.9:53"))); !errors.Is(err, unix.EPERM) {
		t.Errorf("silent, closed: %v, want EPERM", err)
	}
}
