package bpf

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/netnsrig"
)

// lookupContext is struct bpf_sk_lookup of the kernel: the connection that is
// asked about, and on return the chosen socket's cookie.
type lookupContext struct {
	Cookie         uint64
	Family         uint32
	Protocol       uint32
	RemoteIP4      [4]byte
	RemoteIP6      [16]byte
	RemotePort     [2]byte // network order
	_              uint16
	LocalIP4       [4]byte
	LocalIP6       [16]byte
	LocalPort      uint32
	IngressIfindex uint32
	_              uint32
}

const (
	skDrop = 0
	skPass = 1
)

// lookup is the sk_lookup program of one pod, run by itself (BPF_PROG_RUN).
type lookup struct {
	t       *testing.T
	objects WeirObjects
	cookies map[WeirListenerKind]uint64 // of the pod's listeners
}

const podCookie, podID = 4711, 7

var (
	pod4, pod6     = netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")
	peer4, peer6   = netip.MustParseAddr("10.77.0.3"), netip.MustParseAddr("fd77::3")
	loop4, loop6   = netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	excluded       = uint16(9090)
	listenerKinds4 = []WeirListenerKind{WeirListenerKindLISTENER_OUTBOUND4, WeirListenerKindLISTENER_INBOUND4}
	listenerKinds6 = []WeirListenerKind{WeirListenerKindLISTENER_OUTBOUND6, WeirListenerKindLISTENER_INBOUND6}
)

func newLookup(t *testing.T, keepsClient uint8) *lookup {
	t.Helper()
	netnsrig.RequireRoot(t)
	spec, err := LoadWeir()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	if err := spec.Variables["netns_cookie"].Set(uint64(podCookie)); err != nil {
		t.Fatal(err)
	}
	if err := spec.Variables["keeps_client"].Set(keepsClient); err != nil {
		t.Fatal(err)
	}
	l := &lookup{t: t, cookies: map[WeirListenerKind]uint64{}}
	if err := spec.LoadAndAssign(&l.objects, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.objects.Close() })
	for _, a := range []netip.Addr{pod4, pod6} {
		l.put(l.objects.WeirPodAddrs, WeirPodAddr{PodId: podID, Addr: a.As16()}, uint8(1))
	}
	l.put(l.objects.WeirInExclude, WeirPodPort{PodId: podID, Port: excluded}, uint8(1))
	for _, kind := range listenerKinds4 {
		l.listen(kind, "127.0.0.1:0")
	}
	for _, kind := range listenerKinds6 {
		l.listen(kind, "[::1]:0")
	}
	return l
}

func (l *lookup) put(m *ebpf.Map, key, value any) {
	l.t.Helper()
	if err := m.Put(key, value); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lookup) listen(kind WeirListenerKind, addr string) {
	l.t.Helper()
	var config net.ListenConfig
	config.SetMultipathTCP(false) // a sockhash takes plain TCP only
	listener, err := config.Listen(l.t.Context(), "tcp", addr)
	if err != nil {
		l.t.Fatal(err)
	}
	defer listener.Close()
	f, err := listener.(*net.TCPListener).File() // which the map does not keep open
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { f.Close() })
	cookie, err := unix.GetsockoptUint64(int(f.Fd()), unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		l.t.Fatal(err)
	}
	l.cookies[kind] = cookie
	l.put(l.objects.WeirListeners, WeirListenerKey{PodId: podID, Kind: kind}, uint64(f.Fd()))
}

// run asks who gets a connection.
func (l *lookup) run(protocol uint32, remote, local netip.AddrPort) (verdict uint32, cookie uint64) {
	l.t.Helper()

	in := lookupContext{
		Family: unix.AF_INET, Protocol: protocol, LocalPort: uint32(local.Port()),
		RemotePort: [2]byte{byte(remote.Port() >> 8), byte(remote.Port())},
	}
	if local.Addr().Is4() {
		in.RemoteIP4, in.LocalIP4 = remote.Addr().As4(), local.Addr().As4()
	} else {
		in.Family, in.RemoteIP6, in.LocalIP6 = unix.AF_INET6, remote.Addr().As16(), local.Addr().As16()
	}
	var out lookupContext
	verdict, err := l.objects.WeirSkLookup.Run(&ebpf.RunOptions{Context: in, ContextOut: &out})
	if err != nil {
		l.t.Fatal(err)
	}
	return verdict, out.Cookie
}

func TestSkLookup(t *testing.T) {
	l := newLookup(t, 0)
	for _, tt := range []struct {
		name          string
		remote, local netip.Addr
		port          uint16
		change        func(*WeirPod, *WeirSettings)
		protocol      uint32
		verdict       uint32
		kind          WeirListenerKind // 0: no socket is chosen
	}{
		{name: "in", remote: peer4, local: pod4, verdict: skPass, kind: WeirListenerKindLISTENER_INBOUND4},
		{name: "in, IPv6", remote: peer6, local: pod6, verdict: skPass, kind: WeirListenerKindLISTENER_INBOUND6},
		{name: "out", remote: pod4, local: peer4, verdict: skPass, kind: WeirListenerKindLISTENER_OUTBOUND4},
		{name: "out, IPv6", remote: pod6, local: peer6, verdict: skPass, kind: WeirListenerKindLISTENER_OUTBOUND6},
		{name: "to itself", remote: pod4, local: pod4, verdict: skPass},
		{name: "to itself, IPv6", remote: pod6, local: pod6, verdict: skPass},
		{name: "loopback", remote: loop4, local: loop4, verdict: skPass},
		{name: "loopback, IPv6", remote: loop6, local: loop6, verdict: skPass},
		{name: "loopback to the pod's address", remote: loop4, local: pod4, verdict: skPass},
		{name: "between others", remote: peer4, local: peer4, verdict: skPass},
		{name: "UDP", protocol: unix.IPPROTO_UDP, remote: peer4, local: pod4, verdict: skPass},
		{name: "an excluded port", remote: peer4, local: pod4, port: excluded, verdict: skPass},
		{name: "an excluded port, out", remote: pod4, local: peer4, port: excluded, verdict: skPass, kind: WeirListenerKindLISTENER_OUTBOUND4},
		{name: "inbound is off", remote: peer4, local: pod4, verdict: skPass,
			change: func(p *WeirPod, _ *WeirSettings) { p.Inbound = 0 }},
		{name: "rewriting, out", remote: pod4, local: peer4, verdict: skPass,
			change: func(p *WeirPod, _ *WeirSettings) { p.Rewrite = 1 }},
		{name: "rewriting, in", remote: peer4, local: pod4, verdict: skPass, kind: WeirListenerKindLISTENER_INBOUND4,
			change: func(p *WeirPod, _ *WeirSettings) { p.Rewrite = 1 }},
		{name: "bypass", remote: peer4, local: pod4, verdict: skPass,
			change: func(_ *WeirPod, s *WeirSettings) { s.Bypass = 1 }},
		{name: "silent, closed", remote: peer4, local: pod4, verdict: skDrop,
			change: func(_ *WeirPod, s *WeirSettings) { s.MaxSilenceMs = 1 }},
		{name: "silent, open", remote: peer4, local: pod4, verdict: skPass,
			change: func(p *WeirPod, s *WeirSettings) { s.MaxSilenceMs, p.FailOpen = 1, 1 }},
		{name: "silent, a proxy that does not beat", remote: peer4, local: pod4, verdict: skPass, kind: WeirListenerKindLISTENER_INBOUND4,
			change: func(p *WeirPod, s *WeirSettings) { s.MaxSilenceMs, p.External = 1, 1 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod, settings := WeirPod{PodId: podID, Inbound: 1}, WeirSettings{Version: 1}
			if tt.change != nil {
				tt.change(&pod, &settings)
			}
			l.t = t
			l.put(l.objects.WeirPods, uint64(podCookie), pod)
			l.put(l.objects.WeirSettings, uint32(0), settings)
			if tt.protocol == 0 {
				tt.protocol = unix.IPPROTO_TCP
			}
			if tt.port == 0 {
				tt.port = 80
			}
			verdict, cookie := l.run(tt.protocol, netip.AddrPortFrom(tt.remote, 40000), netip.AddrPortFrom(tt.local, tt.port))
			if verdict != tt.verdict || cookie != l.cookies[tt.kind] {
				t.Errorf("verdict %d and socket %d, want %d and %d", verdict, cookie, tt.verdict, l.cookies[tt.kind])
			}
		})
	}
}

// A pod whose listener is gone gets no connection that was meant for it, and
// nobody else does.
func TestSkLookupWithoutListeners(t *testing.T) {
	l := newLookup(t, 0)
	for _, kind := range append(listenerKinds4, listenerKinds6...) {
		if err := l.objects.WeirListeners.Delete(WeirListenerKey{PodId: podID, Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	l.put(l.objects.WeirSettings, uint32(0), WeirSettings{Version: 1})
	l.put(l.objects.WeirPods, uint64(podCookie), WeirPod{PodId: podID, Inbound: 1})
	for _, a := range [][2]netip.Addr{{peer4, pod4}, {peer6, pod6}, {pod4, peer4}, {pod6, peer6}} {
		verdict, cookie := l.run(unix.IPPROTO_TCP, netip.AddrPortFrom(a[0], 40000), netip.AddrPortFrom(a[1], 80))
		if verdict != skDrop || cookie != 0 {
			t.Errorf("%s to %s: verdict %d and socket %d, want it dropped", a[0], a[1], verdict, cookie)
		}
	}
	var failed []uint64
	if err := l.objects.WeirCounters.Lookup(uint32(WeirCounterCOUNT_FAILED), &failed); err != nil {
		t.Fatal(err)
	}
	total := uint64(0)
	for _, n := range failed {
		total += n
	}
	if total != 4 {
		t.Errorf("%d failures counted, want 4", total)
	}
}

// A pod whose clients' addresses are kept is caught like any other. BPF_PROG_RUN
// cannot say that something comes in on lo: package redirect tests that.
func TestSkLookupKeepsClient(t *testing.T) {
	l := newLookup(t, 1)
	l.put(l.objects.WeirSettings, uint32(0), WeirSettings{Version: 1})
	l.put(l.objects.WeirPods, uint64(podCookie), WeirPod{PodId: podID, Inbound: 1})
	for _, tt := range []struct {
		remote, local netip.Addr
		kind          WeirListenerKind
	}{
		{peer4, pod4, WeirListenerKindLISTENER_INBOUND4}, {peer6, pod6, WeirListenerKindLISTENER_INBOUND6},
		{pod4, peer4, WeirListenerKindLISTENER_OUTBOUND4}, {pod6, peer6, WeirListenerKindLISTENER_OUTBOUND6},
	} {
		verdict, cookie := l.run(unix.IPPROTO_TCP, netip.AddrPortFrom(tt.remote, 40000), netip.AddrPortFrom(tt.local, 80))
		if verdict != skPass || cookie != l.cookies[tt.kind] {
			t.Errorf("%s to %s: verdict %d and socket %d, want %d", tt.remote, tt.local, verdict, cookie, l.cookies[tt.kind])
		}
	}
}
