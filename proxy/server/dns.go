package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/dnsproxy"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/stats"
)

// nodeDNS answers the DNS questions of the node's pods, and tells which name
// the destination of a connection has.
type nodeDNS struct {
	n       *node
	server  *dnsproxy.Server
	stats   *stats.Group[dnsStats]
	told    dnsStats     // what stats have by now
	collect *event.Timer // of names; on main
}

func newNodeDNS(n *node) *nodeDNS {
	d := &nodeDNS{n: n, stats: stats.NewGroup[dnsStats](n.s.stats, stats.Scope{Prefix: "dns."})}
	d.collect = n.s.loops[0].NewTimer(d.collectNames)
	d.server = dnsproxy.New(dnsproxy.Options{Dial: d.dial, Log: n.s.log.get("dns")})
	return d
}

// add answers the pod's questions from now on. It takes the sockets over.
func (d *nodeDNS) add(p handoff.Pod, fds []int) {
	servers, err := dnsproxy.OpenServers(p.DNSServers, p.DNSSlot)
	unix.Close(p.DNSServers)
	if err == nil {
		is6 := func(a netip.Addr) bool { return a.Is6() }
		pod := dnsproxy.Pod{ID: p.ID, Name: p.Namespace + "/" + p.Name, IPv6: anyOf(p.Addresses, is6), Servers: servers}
		err = d.server.Add(pod, fds)
	}
	if err != nil {
		d.n.s.main.Error("a pod's DNS can't be answered", "pod", p.Name, "error", err)
	}
}

func anyOf(addrs []netip.Addr, is func(netip.Addr) bool) bool {
	for _, a := range addrs {
		if is(a) {
			return true
		}
	}
	return false
}

// Name implements listener.DNS.
func (d *nodeDNS) Name(pod uint32, addr netip.Addr) string { return d.server.Name(pod, addr) }

// TakeStream implements listener.DNS.
func (d *nodeDNS) TakeStream(pod uint32, server netip.Addr, fd int) {
	go func() {
		f := os.NewFile(uintptr(fd), "dns")
		defer f.Close()
		if conn, err := net.FileConn(f); err == nil {
			d.server.ServeStream(pod, server, conn)
		}
	}()
}

// dial implements dnsproxy.Dial, by sockets of the pod's that are never caught.
func (d *nodeDNS) dial(_ context.Context, pod uint32, network string, server netip.AddrPort) (net.Conn, error) {
	family := handoff.IPv4
	if server.Addr().Is6() {
		family = handoff.IPv6
	}
	if network == "udp" {
		fd, err := d.n.client.UDPSocket(pod, family)
		if err != nil {
			return nil, err
		}
		giveBack := func() { d.n.client.ReturnUDP(pod, family, fd) }
		return dnsproxy.ConnectUDP(fd, server, giveBack)
	}
	fds, err := d.n.client.UpstreamSockets(pod, family, 1)
	if err != nil {
		return nil, err
	}
	return dnsproxy.ConnectTCP(fds[0], server)
}

// guard refuses what can't be reached: an address that stands for a host of
// the mesh is for routes to look at.
func (d *nodeDNS) guard(addr netip.Addr) error {
	if dnsproxy.IsStandIn(addr) {
		return errors.New("it stands for a host of the mesh, for which there is no route here")
	}
	return nil
}

// dnsStats are at dns., for all pods.
type dnsStats struct {
	Questions stats.Counter `stat:"questions"`
	Given     stats.Counter `stat:"answered_given"`
	Cached    stats.Counter `stat:"answered_cached"`
	StandIn   stats.Counter `stat:"answered_stand_in"`
	Forwarded stats.Counter `stat:"forwarded"`
	Truncated stats.Counter `stat:"forwarded_again_by_tcp"`
	Failed    stats.Counter `stat:"failed"`
	Dropped   stats.Counter `stat:"dropped"`
}

// updateStats takes over what was counted on other goroutines.
func (d *nodeDNS) updateStats() {
	from, to := &d.server.Stats, d.stats.For(0)
	for _, c := range []struct {
		now      uint64
		told, st *stats.Counter
	}{
		{from.Questions.Load(), &d.told.Questions, &to.Questions},
		{from.Given.Load(), &d.told.Given, &to.Given},
		{from.Cached.Load(), &d.told.Cached, &to.Cached},
		{from.StandIn.Load(), &d.told.StandIn, &to.StandIn},
		{from.Forwarded.Load(), &d.told.Forwarded, &to.Forwarded},
		{from.Truncated.Load(), &d.told.Truncated, &to.Truncated},
		{from.Failed.Load(), &d.told.Failed, &to.Failed},
		{from.Dropped.Load(), &d.told.Dropped, &to.Dropped},
	} {
		c.st.Add(c.now - uint64(*c.told))
		*c.told = stats.Counter(c.now)
	}
}
