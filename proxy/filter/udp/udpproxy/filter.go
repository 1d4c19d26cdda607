package udpproxy

import (
	"net/netip"
	"time"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// filter serves one socket of a listener.
type filter struct {
	*settings
	sock     *listener.UDPSocket
	loop     *network.Loop
	stats    *Stats
	opened   time.Duration
	sessions map[key]*session
	clusters map[string]*target
	answers  [][]byte // scratch, for what goes to a client
	counts   counts   // of all sessions, for the log
	sessionN uint64
	idled    uint64
	noRoute  uint64
	rxErrors uint64

	// run gathers datagrams of one session that come in a row, to send them
	// together.
	run     *session
	pending [][]byte
}

// key tells sessions apart.
type key struct {
	peer, local netip.AddrPort
	host        *cluster.Host // with use_per_packet_load_balancing
}

// target is a cluster as the filter knows it.
type target struct {
	Cluster
	stats *ClusterStats
	group *stats.Group[ClusterStats]
}

// counts are of datagrams from and to clients.
type counts struct{ rxBytes, rxDatagrams, txBytes, txDatagrams, txErrors uint64 }

func (s *settings) newFilter(sock *listener.UDPSocket) listener.UDPFilter {
	l := sock.Loop()
	return &filter{settings: s, sock: sock, loop: l, stats: s.stats.For(l.Worker), opened: l.Now(), sessions: map[key]*session{}, clusters: map[string]*target{}}
}

// OnDatagram implements listener.UDPFilter.
func (f *filter) OnDatagram(d network.Datagram) network.FilterStatus {
	k := key{peer: d.Peer, local: f.sock.Local(&d)}
	s := f.sticky(k)
	if s == nil {
		s = f.open(k)
	}
	if s == nil {
		return network.StopIteration
	}
	if s != f.run {
		f.Flush()
		f.run = s
	}
	f.pending = append(f.pending, d.Data)
	return network.StopIteration
}

// Flush implements listener.UDPFilter.
func (f *filter) Flush() {
	if f.run != nil {
		f.run.forward(f.pending)
		f.run = nil
	}
	clear(f.pending)
	f.pending = f.pending[:0]
}

// OnReceiveError implements listener.UDPFilter.
func (f *filter) OnReceiveError() {
	f.stats.RxErrors.Inc()
	f.rxErrors++
}

// Close implements listener.UDPFilter.
func (f *filter) Close() {
	for _, s := range f.sessions {
		s.close()
	}
	for _, t := range f.clusters {
		t.group.Close()
	}
	f.log()
}

// sticky is the session of k, if there is one whose host may still be used.
func (f *filter) sticky(k key) *session {
	if f.perPacket {
		return nil
	}
	s := f.sessions[k]
	if s == nil || s == f.run {
		return s
	}
	if !s.valid() {
		s.close()
		return nil
	}
	if s.host.Usability() != cluster.Unhealthy {
		return s
	}
	// It keeps an unhealthy host when there is no better one.
	host := s.to.ChooseHost(&chooser{f: f, peer: k.peer})
	if host == nil || host == s.host || host.Usability() == cluster.Unhealthy {
		return s
	}
	s.close()
	return f.openTo(k, s.to, host)
}

// open makes the session that k shall use, nil when there can be none.
func (f *filter) open(k key) *session {
	to := f.route(k)
	if to == nil {
		f.stats.NoRoute.Inc()
		f.noRoute++
		return nil
	}
	host := to.ChooseHost(&chooser{f: f, peer: k.peer})
	if host == nil {
		return nil // which ChooseHost has counted
	}
	if f.perPacket {
		k.host = host
		if s := f.sessions[k]; s != nil && s.valid() {
			return s
		} else if s != nil {
			s.close()
		}
	}
	if !to.Breakers(cluster.Default).CanCreate(cluster.Connections) {
		f.overflow(k, to)
		return nil
	}
	return f.openTo(k, to, host)
}

// route is the cluster for k, nil when there is none.
func (f *filter) route(k key) *target {
	name := f.cluster
	if f.matcher != nil {
		var d tree.Data
		d.SetSocket(network.IPAddress(k.local), network.IPAddress(k.peer), nil)
		name, _ = f.matcher.Match(&d)
	}
	c := f.find(f.loop, name)
	if c == nil {
		return nil
	}
	t := f.clusters[name]
	if t == nil || t.Cluster != c {
		if t != nil {
			t.group.Close()
		}
		t = &target{Cluster: c, group: stats.NewGroup[ClusterStats](c.Info().Store, stats.Scope{Prefix: c.Info().StatScope().Prefix + "udp."})}
		t.stats = t.group.For(f.loop.Worker)
		f.clusters[name] = t
	}
	return t
}

// chooser is what load balancers may know of a datagram.
type chooser struct {
	lb.NoContext
	f    *filter
	peer netip.AddrPort
}

// HashKey implements lb.Context.
func (c *chooser) HashKey() (uint64, bool) {
	if c.f.hash == nil {
		return 0, false
	}
	return c.f.hash(c.peer.Addr()), true
}
