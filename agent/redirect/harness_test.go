package redirect

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/internal/cgroup2"
	"github.com/weirproxy/weir/internal/netnsrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

const (
	testMark     = 0x7e57
	testTable    = 0x7e57
	outboundPort = 15001
	inboundPort  = 15006
)

// service is an address that no pod has.
var (
	service4 = netip.MustParseAddrPort("203.0.113.9:80")
	service6 = netip.MustParseAddrPort("[2001:db8::9]:80")
)

// load loads the programs for one test, pinned in a directory of its own.
func load(t *testing.T) *Redirect {
	t.Helper()
	netnsrig.RequireRoot(t)
	return open(t, filepath.Join(bpffsMount, "weir-test-"+strings.ReplaceAll(t.Name(), "/", "-")))
}

func open(t *testing.T, dir string) *Redirect {
	t.Helper()
	root, err := cgroup2.Mount()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(Options{Dir: dir, ConnectCgroup: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if _, err := Cleanup(dir); err != nil {
			t.Errorf("cleanup: %v", err)
		}
	})
	return r
}

// managed is a pod as the agent sets it up, whose proxy is this test.
type managed struct {
	*netnsrig.Pod
	t   *testing.T
	r   *Redirect
	ns  *netns.NS
	pod Pod
	// left is set when the test removes the pod itself.
	left bool
}

func manage(t *testing.T, r *Redirect, p *netnsrig.Pod, change func(*Pod)) *managed {
	t.Helper()
	ns, err := netns.Open(p.Netns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	cookie, err := NetnsCookie(ns)
	if err != nil {
		t.Fatal(err)
	}
	m := &managed{Pod: p, t: t, r: r, ns: ns, pod: Pod{
		ID: uint32(cookie), Cookie: cookie, Name: "test/" + p.Name, Own: []netip.Addr{p.IPv4, p.IPv6}, Mark: testMark, Inbound: true,
		Outbound4: netip.AddrPortFrom(p.IPv4, outboundPort), Outbound6: netip.AddrPortFrom(p.IPv6, outboundPort),
	}}
	if change != nil {
		change(&m.pod)
	}
	m.listen()
	route := netns.MarkRoute{Mark: testMark, Table: testTable, Priority: 100, Sources: m.pod.Own}
	if err := ns.InstallMarkRoute(route); err != nil {
		t.Fatal(err)
	}
	if err := r.AttachNetns(Namespace{PodID: m.pod.ID, Cookie: cookie, FD: ns.FD(), Inode: ns.Inode()}); err != nil {
		t.Fatal(err)
	}
	m.put()
	t.Cleanup(func() {
		if m.left {
			return
		}
		if err := r.RemovePod(m.pod.ID, cookie); err != nil {
			t.Error(err)
		}
		if err := r.DetachNetns(m.pod.ID); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *managed) put() {
	m.t.Helper()
	if err := m.r.PutPod(m.pod); err != nil {
		m.t.Fatal(err)
	}
}

// listen makes the pod's four listeners and a proxy on each that tells the
// client which took it and where it was going: "outbound 203.0.113.9:80".
func (m *managed) listen() {
	m.t.Helper()
	for _, l := range []struct {
		kind Kind
		addr netip.Addr
		port uint16
		name string
	}{
		{Outbound4, m.IPv4, outboundPort, "outbound"},
		{Outbound6, m.IPv6, outboundPort, "outbound"},
		{Inbound4, netip.IPv4Unspecified(), inboundPort, "inbound"},
		{Inbound6, netip.IPv6Unspecified(), inboundPort, "inbound"},
	} {
		transparent := l.name == "inbound" || !m.pod.Rewrite
		fd, err := m.ns.Listen(netns.ListenOptions{Addr: netip.AddrPortFrom(l.addr, l.port), Transparent: transparent})
		if err != nil {
			m.t.Fatal(err)
		}
		if err := m.r.SetListener(m.pod.ID, l.kind, fd); err != nil {
			m.t.Fatal(err)
		}
		answer(m.t, listenerOf(m.t, fd), func(c *net.TCPConn) string {
			if transparent {
				return l.name + " " + c.LocalAddr().String()
			}
			return l.name + " " + originalDst(c)
		})
	}
}

// serve runs an app in the pod that answers "app" and its client's address.
func (m *managed) serve(addr string) {
	m.t.Helper()
	l, err := m.Listen("tcp", addr)
	if err != nil {
		m.t.Fatal(err)
	}
	answer(m.t, l, func(c *net.TCPConn) string { return "app" })
}

func answer(t *testing.T, l net.Listener, text func(*net.TCPConn) string) {
	tcprig.Serve(t, l, func(c net.Conn) {
		io.WriteString(c, text(c.(*net.TCPConn)))
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c) // or what the client sent turns the close into a reset
	})
}

func listenerOf(t *testing.T, fd int) net.Listener {
	t.Helper()
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask connects from the pod and returns what it was answered, or the error.
func ask(t *testing.T, p *netnsrig.Pod, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := p.Dial(ctx, "tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if got := c.RemoteAddr().String(); got != addr {
		t.Errorf("getpeername of a connection to %s is %s", addr, got)
	}
	text, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// goesNowhere connects to an address that nobody has, for long enough for one
// that somebody has after all.
func goesNowhere(t *testing.T, p *netnsrig.Pod, addr string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, err := p.Dial(ctx, "tcp", addr)
	if err == nil {
		c.Close()
	}
	return err
}

func wantAnswer(t *testing.T, p *netnsrig.Pod, addr, want string) {
	t.Helper()
	if got := ask(t, p, addr); got != want {
		t.Errorf("%s to %s: %q, want %q", p.Name, addr, got, want)
	}
}

func wantError(t *testing.T, p *netnsrig.Pod, addr string, errno syscall.Errno) {
	t.Helper()
	if got := ask(t, p, addr); !strings.HasSuffix(got, errno.Error()) {
		t.Errorf("%s to %s: %q, want %q", p.Name, addr, got, errno)
	}
}

// originalDst asks SO_ORIGINAL_DST as Envoy does: by the socket's family,
// with room for any address.
func originalDst(c *net.TCPConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return err.Error()
	}
	var sa unix.RawSockaddrAny
	var errno syscall.Errno
	level := unix.SOL_IP
	if c.LocalAddr().(*net.TCPAddr).IP.To4() == nil {
		level = unix.SOL_IPV6
	}
	size := uint32(unsafe.Sizeof(sa))
	raw.Control(func(fd uintptr) {
		_, _, errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, uintptr(level), 80,
			uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), 0)
	})
	if errno != 0 {
		return errno.Error()
	}
	return addrOf(&sa, size)
}

func addrOf(sa *unix.RawSockaddrAny, size uint32) string {
	switch {
	case sa.Addr.Family == unix.AF_INET && size == unix.SizeofSockaddrInet4:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), swap(in.Port)).String()
	case sa.Addr.Family == unix.AF_INET6 && size == unix.SizeofSockaddrInet6:
		in6 := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in6.Addr), swap(in6.Port)).String()
	}
	return fmt.Sprintf("family %d, %d bytes", sa.Addr.Family, size)
}

func swap(port uint16) uint16 { return port<<8 | port>>8 }
