package bpf

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const outboundPort = 15001 // of manage's pod

// rewriter is a pod in rewriting mode, with all programs that it takes.
type rewriter struct{ *connector }

func newRewriter(t *testing.T) rewriter {
	t.Helper()
	c := newConnector(t)
	c.attach(map[ebpf.AttachType]*ebpf.Program{
		ebpf.AttachCGroupSockOps: c.objects.WeirSockops, ebpf.AttachCGroupGetsockopt: c.objects.WeirGetsockopt,
		ebpf.AttachCgroupInet4GetPeername: c.objects.WeirGetpeername4, ebpf.AttachCgroupInet6GetPeername: c.objects.WeirGetpeername6,
	})
	c.manage(func(p *WeirPod, _ *WeirSettings) { p.Rewrite = 1 })
	return rewriter{c}
}

// listen is the pod's outbound listener.
func (r rewriter) listen(addr netip.Addr) *net.TCPListener {
	r.t.Helper()
	l, err := r.pod.Listen("tcp", netip.AddrPortFrom(addr, outboundPort).String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// stream makes a blocking socket in the pod.
func (r rewriter) stream(domain int) (fd int) {
	r.t.Helper()
	fd = r.socket(domain, unix.SOCK_STREAM)
	if err := unix.SetNonblock(fd, false); err != nil {
		r.t.Fatal(err)
	}
	return fd
}

func (r rewriter) peer(fd int) netip.AddrPort {
	r.t.Helper()
	sa, err := unix.Getpeername(fd)
	if err != nil {
		r.t.Fatal(err)
	}
	return addrPort(sa)
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func sockaddrOf(to netip.AddrPort) unix.Sockaddr {
	if to.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}

// wantEntries waits until the maps know so many connections that have no port
// yet, and others: the last segments may still be on their way.
func (r rewriter) wantEntries(connecting, connected int) {
	r.t.Helper()
	for m, want := range map[*ebpf.Map]int{r.objects.WeirConnecting: connecting, r.objects.WeirConnOrig: connected} {
		deadline := time.Now().Add(5 * time.Second)
		for entries(m) != want {
			if time.Now().After(deadline) {
				r.t.Errorf("%d entries in %v, want %d", entries(m), m, want)
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func entries(m *ebpf.Map) (n int) {
	var key, value []byte
	for it := m.Iterate(); it.Next(&key, &value); {
		n++
	}
	return n
}

// originalDst asks for the SO_ORIGINAL_DST of a connection of IPv4.
func originalDst(t *testing.T, c *net.TCPConn) (dst netip.AddrPort) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		// The call that x/sys has for 20 bytes; a sockaddr_in is 16.
		mreq, e := unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, unix.SO_ORIGINAL_DST)
		if e != nil {
			t.Error(e)
			return
		}
		b := mreq.Multiaddr
		dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// The app is told the peer that it asked for as long as it has the connection,
// the proxy even after the app has closed it; then nothing is left.
func TestRewritten(t *testing.T) {
	for name, to := range map[string]netip.Addr{"IPv4": service4, "IPv6": service6, "mapped": mapped} {
		t.Run(name, func(t *testing.T) {
			r := newRewriter(t)
			own, domain := r.pod.IPv4, unix.AF_INET6
			switch {
			case to.Is4():
				domain = unix.AF_INET
			case !to.Is4In6():
				own = r.pod.IPv6
			}
			l := r.listen(own)
			fd, dst := r.stream(domain), netip.AddrPortFrom(to, 80)
			if err := unix.Connect(fd, sockaddrOf(dst)); err != nil {
				t.Fatal(err)
			}
			r.wantEntries(0, 1)
			if got := r.peer(fd); got != dst {
				t.Errorf("the app's peer is %v, want %v", got, dst)
			}
			if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			if got := r.peer(fd); got != dst {
				t.Errorf("after shutdown it is %v, want %v", got, dst)
			}
			unix.Close(fd)
			accepted, err := l.AcceptTCP()
			if err != nil {
				t.Fatal(err)
			}
			if name != "IPv6" {
				if got, want := originalDst(t, accepted), netip.AddrPortFrom(service4, 80); got != want {
					t.Errorf("the proxy is told %v, want %v", got, want)
				}
			}
			accepted.Close()
			r.wantEntries(0, 0)
		})
	}
}

// The proxy is told by the connection's addresses if its socket does not have
// it: there may have been no memory.
func TestOriginalDstWithoutStorage(t *testing.T) {
	r := newRewriter(t)
	l := r.listen(r.pod.IPv4)
	fd, dst := r.stream(unix.AF_INET), netip.AddrPortFrom(service4, 80)
	if err := unix.Connect(fd, sockaddrOf(dst)); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	raw, err := accepted.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = r.objects.WeirSkOrig.Delete(int32(fd)) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal("its socket had none:", err)
	}
	if got := originalDst(t, accepted); got != dst {
		t.Errorf("%v, want %v", got, dst)
	}
}

// However a connection ends, nothing is left of it, and a socket that connects
// again does not answer for its last attempt.
func TestRewrittenConnectionsEnd(t *testing.T) {
	dst := sockaddrOf(netip.AddrPortFrom(service4, 80))
	r := newRewriter(t)
	elsewhere, err := r.pod.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	self := elsewhere.Addr().(*net.TCPAddr).AddrPort()
	again := func(fd int) {
		t.Helper()
		if err := unix.Connect(fd, sockaddrOf(self)); err != nil {
			t.Fatal(err)
		}
		if got := r.peer(fd); got != self {
			t.Errorf("the peer is %v, want %v", got, self)
		}
	}

	refused := r.stream(unix.AF_INET) // nobody listens yet
	if err := unix.Connect(refused, dst); err != unix.ECONNREFUSED {
		t.Fatal(err)
	}
	r.wantEntries(0, 0)
	again(refused)

	r.listen(r.pod.IPv4)
	reset := r.stream(unix.AF_INET)
	if err := unix.Connect(reset, dst); err != nil {
		t.Fatal(err)
	}
	r.wantEntries(0, 1)
	if err := unix.SetsockoptLinger(reset, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	unix.Close(reset)
	r.wantEntries(0, 0)

	// Two sockets of one local port, both to the outbound listener: the second
	// fails before its SYN.
	bound := netip.AddrPortFrom(r.pod.IPv4, 20000)
	fds := []int{r.stream(unix.AF_INET), r.stream(unix.AF_INET)}
	for _, fd := range fds {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, sockaddrOf(bound)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Connect(fds[0], dst); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fds[1], sockaddrOf(netip.AddrPortFrom(service4, 81))); err != unix.EADDRNOTAVAIL {
		t.Fatal(err)
	}
	r.wantEntries(1, 1)
	if got := r.peer(fds[0]); got != addrPort(dst) {
		t.Errorf("the peer of the first is %v, want %v", got, addrPort(dst))
	}
	again(fds[1])
	r.wantEntries(0, 1)
}
