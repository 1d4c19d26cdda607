package pool

import (
	"net"
	"net/netip"
	"testing"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

func TestPreconnectPerUpstream(t *testing.T) {
	for name, c := range map[string]struct {
		ratio float64
		total uint64 // connections once one request has been served
	}{"none": {0, 1}, "one and a half": {1.5, 2}, "double": {2, 2}, "triple": {3, 3}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(i *cluster.Info, _ *[cluster.NumPriorities]cluster.Limits) { i.Preconnect.PerUpstream = c.ratio })
			l := server(t, answering(okResponse))
			p := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0)
			r.get(p)
			r.eventually("all connections stand", func() bool { return p.connecting == 0 })
			r.do(func() {
				if n := uint64(r.o.Stats.UpstreamCxTotal); n != c.total {
					t.Errorf("%d connections, want %d", n, c.total)
				}
			})
		})
	}
}

func TestPreconnectForUnhealthyHosts(t *testing.T) {
	r := newRig(t, func(i *cluster.Info, _ *[cluster.NumPriorities]cluster.Limits) { i.Preconnect.PerUpstream = 3 })
	h := r.host(server(t, answering(okResponse)).Addr())
	h.SetHealth(cluster.FailedEDSHealth, true)
	p := NewHTTP1(&r.o, h, cluster.Default, 0)
	r.get(p)
	r.do(func() {
		if p.conns != 1 || p.Preconnect(3) {
			t.Errorf("%d connections to a host that is not healthy, want 1", p.conns)
		}
	})
}

func TestPreconnectPredictive(t *testing.T) {
	r := newRig(t, nil)
	l := server(t, answering(okResponse))
	p1, p2 := NewHTTP1(&r.o, r.host(l.Addr()), cluster.Default, 0), NewHTTP2(&r.o, r.host(l.Addr()), cluster.Default, 0, cluster.HTTP2)
	r.do(func() {
		for _, p := range []HTTP{p1, p2} {
			if !p.Preconnect(1) || p.Preconnect(1) {
				t.Errorf("%T: want one connection for the one stream to come", p)
			}
		}
		if !p1.Preconnect(2) || p2.Preconnect(2) {
			t.Error("a connection carries one request over HTTP/1, many over HTTP/2")
		}
		p1.Drain(nil)
		if p1.Preconnect(3) {
			t.Error("a connection in a pool that is to become empty")
		}
	})
}

type tcpUser struct {
	r    *rig
	conn *network.Connection
	done chan struct{}
}

func (u *tcpUser) OnPoolReady(c *network.Connection, _ *cluster.Host) { u.conn = c; close(u.done) }
func (u *tcpUser) OnPoolFailure(FailureReason, string, *cluster.Host) { close(u.done) }

func TestPreconnectTCP(t *testing.T) {
	r := newRig(t, func(i *cluster.Info, _ *[cluster.NumPriorities]cluster.Limits) { i.Preconnect.PerUpstream = 2 })
	h := r.host(server(t, func(net.Conn, func() bool) { select {} }).Addr())
	use := func() *tcpUser {
		u := &tcpUser{r: r, done: make(chan struct{})}
		r.do(func() { ConnectTCP(&r.o, h, cluster.Default, 0, nil, u) })
		r.wait(u.done, "a connection")
		if u.conn == nil {
			t.Fatal("no connection")
		}
		return u
	}
	first := use()
	r.eventually("a spare connection stands", func() bool {
		p := r.o.tcpPools[tcpKey{host: h}]
		return len(p.spares) == 1 && p.spares[0].up
	})
	second := use() // takes it
	r.do(func() {
		if n := uint64(r.o.Stats.UpstreamCxTotal); n != 4 {
			t.Errorf("%d connections, want 4: two in use, two spare ones", n)
		}
		if n := uint64(r.o.Stats.UpstreamRqPendingTotal); n != 1 {
			t.Errorf("%d had to wait, want the first only", n)
		}
		r.o.CloseSpares(func(*cluster.Host, uint32) bool { return true })
		first.conn.Close(network.NoFlush)
		second.conn.Close(network.NoFlush)
	})
	r.eventually("nothing is left", func() bool {
		return len(r.o.tcpPools) == 0 && r.o.Stats.UpstreamCxActive.Value() == 0 && r.o.Stats.UpstreamRqActive.Value() == 0
	})
}

func TestHappyEyeballs(t *testing.T) {
	refuses, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses.Close()
	address := func(a net.Addr) network.Address { return network.IPAddress(netip.MustParseAddrPort(a.String())) }
	r := newRig(t, nil)
	l := server(t, answering(okResponse))
	h := r.host(l.Addr())
	h.Cluster = r.o.Info

	h.SetCurrent(address(refuses.Addr()), address(l.Addr()))
	p := NewHTTP1(&r.o, h, cluster.Default, 0)
	if s := r.get(p); s.status != "200" || s.conn.RemoteAddress() != address(l.Addr()) {
		t.Errorf("got %q by %v, want 200 by the address that answers", s.status, s.conn)
	}
	h.SetCurrent(address(refuses.Addr()), address(refuses.Addr()))
	p = NewHTTP1(&r.o, h, cluster.Default, 0)
	if s := r.get(p); s.failure != RemoteConnectionFailure {
		t.Errorf("got %v, want a failure to connect", s.failure)
	}
	r.do(func() {
		s := r.o.Stats
		if s.UpstreamCxConnectFail != 1 || s.UpstreamCxTotal != 4 || s.UpstreamCxDestroy != 1 {
			t.Errorf("%d failed, %d attempts, %d closed; want 1, 4, 1", s.UpstreamCxConnectFail, s.UpstreamCxTotal, s.UpstreamCxDestroy)
		}
	})
}

// TestHappyEyeballsTimeout is a race that nobody wins.
func TestHappyEyeballsTimeout(t *testing.T) {
	r := newRig(t, func(i *cluster.Info, _ *[cluster.NumPriorities]cluster.Limits) {
		i.ConnectTimeout = raceDelay + raceDelay/2
	})
	// TEST-NET-1 has no hosts: nothing answers there, or the network is unreachable.
	a, b := network.IPAddress(netip.MustParseAddrPort("192.0.2.200:9")), network.IPAddress(netip.MustParseAddrPort("192.0.2.201:9"))
	h := cluster.NewHost(a, "", 1, nil, 2)
	h.Cluster = r.o.Info
	h.SetCurrent(a, b)
	p := NewHTTP1(&r.o, h, cluster.Default, 0)
	if s := r.get(p); s.failure != Timeout && s.failure != RemoteConnectionFailure {
		t.Errorf("got %v, want a timeout", s.failure)
	}
	r.do(func() {
		if r.o.Stats.UpstreamCxActive.Value() != 0 || p.conns != 0 {
			t.Error("a connection is left")
		}
	})
}
