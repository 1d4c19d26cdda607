package handoff

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// dnsPod is a pod with a listener for DNS besides.
func dnsPod(t *testing.T, id uint32, a *agent) Pod {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f, err := conn.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); f.Close() })
	p := pod(t, id)
	p.Listeners = append(p.Listeners, Listener{DNS, IPv4, Alias, int(f.Fd())})
	p.DNSSlot, p.DNSServers = 7, int(a.beat.Fd()) // any descriptor will do
	return p
}

func TestDNSSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	p := dnsPod(t, 1, a)
	a.server.Add(p)
	c, e := startClient(t, path)
	e.want(t, "+1")
	a.server.Add(pod(t, 2))
	e.want(t, "+2")
	stored, _ := e.pods.Load(uint32(1))
	got := stored.(Pod)
	if got.DNSSlot != 7 || got.DNSServers <= 0 || len(got.Listeners) != 2 || got.Listeners[1].Direction != DNS {
		t.Errorf("the proxy got %+v", got)
	}
	p.DNSSlot = 9 // of another table
	a.server.Add(p)
	e.want(t, "dns 1 at 9")
	fd, err := c.UDPSocket(1, IPv6)
	if err != nil {
		t.Fatal(err)
	}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_DGRAM {
		t.Errorf("a socket of type %d, %v", kind, err)
	}
	if _, err := c.UDPSocket(2, IPv4); err == nil {
		t.Error("a pod without DNS has UDP sockets")
	}

	// The agent ends, and the next takes the sockets back. Meanwhile one that
	// was returned is used again.
	a.stop()
	for range maxFDs {
		if other, ok := c.takeUDP(1, IPv6); ok {
			unix.Close(other)
		}
	}
	c.ReturnUDP(1, IPv6, fd)
	if again, err := c.UDPSocket(1, IPv6); err != nil || again != fd {
		t.Errorf("got %d, %v; want %d", again, err, fd)
	}
	unix.Close(fd)
	b := startAgent(t, path)
	<-b.ready
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.adopted[1]) != 2 {
		t.Errorf("the next agent got %d of 2 sockets", len(b.adopted[1]))
	}
}

func (c *Client) takeUDP(podID uint32, f Family) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[poolKey{podID, f, UDP}]
	if p == nil || len(p.fds) == 0 {
		return -1, false
	}
	fd := p.fds[0]
	p.fds = p.fds[1:]
	return fd, true
}

// A proxy of before DNS gets the pod without it.
func TestProxyThatDoesNotKnowOfDNS(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := startAgent(t, path)
	a.server.Add(dnsPod(t, 1, a))
	u, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, m := range []string{`{"type":"hello","version":1}`, `{"type":"ready"}`} {
		if _, err := u.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	next(t, u)
	if m := next(t, u); m.Type != typePodAdded || len(m.Pod.Listeners) != 1 || m.Pod.HasDNS() {
		t.Errorf("it got %+v", m.Pod)
	}
}
