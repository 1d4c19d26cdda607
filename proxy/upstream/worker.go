package upstream

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Cluster is a cluster on one worker.
type Cluster struct {
	owner    pool.Owner
	info     *cluster.Info
	hosts    *cluster.PrioritySet
	balancer lb.Balancer
	// byAddress are the hosts, made when a filter first asks for one.
	byAddress map[string]*cluster.Host
	drop      float64 // of requests, see DropOverload
	pools     map[poolKey]pool.HTTP
	alt       map[string]altStats
	drained   bool
	asked     map[cluster.TransportOptions]*cluster.TransportOptions
}

type poolKey struct {
	host  *cluster.Host
	key   uint32
	prio  cluster.Priority
	proto cluster.Protocol
	asks  *cluster.TransportOptions // nil in most clusters
	// downstream is whom the pool is for, nil in most clusters: all.
	downstream *network.Connection
}

func newCluster(t *Table, s *snapshot) *Cluster {
	c := &Cluster{info: s.info, hosts: s.hosts, drop: s.drop}
	c.owner.Init(t.loop, s.info, t.m.dialer)
	c.owner.Sheds = t.m.o.ShedsConnection
	c.balancer = s.lb.New(c.owner.Stats)
	if b, ok := c.balancer.(interface{ bind(*Table) }); ok {
		b.bind(t)
	}
	return c
}

// Info is the cluster's settings.
func (c *Cluster) Info() *cluster.Info { return c.info }

// Stats is this worker's part of the cluster's statistics.
func (c *Cluster) Stats() *cluster.Stats { return c.owner.Stats }

// Breakers are the cluster's circuit breakers for a priority.
func (c *Cluster) Breakers(p cluster.Priority) cluster.Breakers { return c.owner.Breakers[p] }

// Hosts are the cluster's hosts as this worker sees them.
func (c *Cluster) Hosts() *cluster.PrioritySet { return c.hosts }

// DropOverload tells whether a request is to be refused because the endpoints'
// policy says that so many are (drop_overloads), and whether all are.
func (c *Cluster) DropOverload() (drop, all bool) {
	return c.drop > 0 && (c.drop >= 1 || rand.Float64() < c.drop), c.drop >= 1
}

// ChooseHost picks a host for a request or connection, nil when no host may
// be used.
func (c *Cluster) ChooseHost(ctx lb.Context) *cluster.Host {
	h, done := c.override(ctx)
	if !done {
		h = c.balancer.Choose(ctx)
	}
	if h == nil {
		c.owner.Stats.UpstreamCxNoneHealthy.Inc()
	}
	return h
}

// HTTPPool is the pool of connections to h for requests of a priority.
// downstream, which may be nil, tells on whose behalf: on a node each pod has
// connections of its own. downstreamProtocol ("HTTP/2") is what the request
// came by.
func (c *Cluster) HTTPPool(h *cluster.Host, p cluster.Priority, downstream *network.Connection, downstreamProtocol string) pool.HTTP {
	return c.HTTPPoolFor(h, p, downstream, downstreamProtocol, c.TransportOptions(h, downstream, nil, ""))
}

// HTTPPoolFor is HTTPPool for connections that ask more of their transport
// sockets, which TransportOptions tells.
func (c *Cluster) HTTPPoolFor(h *cluster.Host, p cluster.Priority, downstream *network.Connection, downstreamProtocol string, asks *cluster.TransportOptions) pool.HTTP {
	if m := c.member(h); m != c {
		return m.HTTPPoolFor(h, p, downstream, downstreamProtocol, asks)
	}
	k := poolKey{host: h, prio: p, key: c.owner.Dialer.Key(downstream), proto: c.info.Protocol, asks: asks}
	if k.proto == cluster.UseDownstream {
		k.proto = cluster.HTTP1
		if downstreamProtocol == "HTTP/2" {
			k.proto = cluster.HTTP2
		}
	}
	if c.info.PoolPerDownstream && downstream != nil {
		k.downstream = downstream
	}
	hp := c.pool(k)
	if c.info.Preconnect.Predictive > 1 {
		c.preconnect(k, downstream)
	}
	return hp
}

// pool is the pool with the key, made when first needed.
func (c *Cluster) pool(k poolKey) pool.HTTP {
	if hp := c.pools[k]; hp != nil {
		return hp
	}
	hp := pool.New(&c.owner, k.host, k.prio, k.key, k.proto, k.asks)
	if c.drained {
		// Replaced meanwhile: who still holds the cluster is served, but
		// leaves no connection behind.
		hp.Drain(nil)
		return hp
	}
	if c.pools == nil {
		c.pools = make(map[poolKey]pool.HTTP)
	}
	c.pools[k] = hp
	if k.downstream != nil {
		k.downstream.AddCallbacks(&ownPool{c, k})
	}
	return hp
}

// TCPConnect makes a connection to h for downstream. It returns nil when cb
// was called already.
func (c *Cluster) TCPConnect(h *cluster.Host, p cluster.Priority, downstream *network.Connection, cb pool.TCPCallbacks) pool.Cancellable {
	if m := c.member(h); m != c {
		return m.TCPConnect(h, p, downstream, cb)
	}
	key := c.owner.Dialer.Key(downstream)
	if c.info.Preconnect.Predictive > 1 {
		c.preconnectTCP(p, key, downstream)
	}
	return pool.ConnectTCP(&c.owner, h, p, key, c.TransportOptions(h, downstream, nil, ""), cb)
}

// TCPResume is TCPConnect for a connection that stands already. ctx chooses the
// host that it is counted with when it leads to none of the cluster's. It
// returns nil, and closes fd, when it can't go on.
func (c *Cluster) TCPResume(fd int, ctx lb.Context, p cluster.Priority, cb pool.TCPCallbacks) pool.Cancellable {
	_, to, err := network.SocketNames(fd)
	var h *cluster.Host
	if err == nil {
		if h = c.hostAt(to.String()); h == nil {
			h = c.ChooseHost(ctx)
		}
	}
	if h == nil {
		network.CloseFD(fd)
		return nil
	}
	m := c.member(h)
	if m.info.Transport != nil {
		network.CloseFD(fd)
		return nil
	}
	return pool.ResumeTCP(&m.owner, h, p, fd, cb)
}

// update takes a newer set of hosts.
func (c *Cluster) update(s *snapshot) {
	c.hosts, c.byAddress = s.hosts, nil
	if u, ok := c.balancer.(lb.Updater); ok {
		u.Update(s.hosts)
	} else {
		c.balancer = s.lb.New(c.owner.Stats)
	}
	c.drop = s.drop
	c.lose(s.failed)
	if s.drain {
		c.drainPools()
		return
	}
	c.closeHosts(s.gone)
}

// lose lets go of the connections to hosts that have failed.
func (c *Cluster) lose(failed []*cluster.Host) {
	for _, h := range failed {
		c.owner.CloseTCP(h)
	}
	c.closeHosts(failed)
}

func (c *Cluster) closeHosts(hosts []*cluster.Host) {
	if len(hosts) == 0 {
		return
	}
	those := make(map[*cluster.Host]bool, len(hosts))
	for _, h := range hosts {
		those[h] = true
	}
	c.closePools(func(h *cluster.Host, _ uint32) bool { return those[h] })
}

// closePools lets the connections to some hosts, or of some keys of the
// Dialer, end with what they carry.
func (c *Cluster) closePools(of func(h *cluster.Host, key uint32) bool) {
	for k, hp := range c.pools {
		if of(k.host, k.key) {
			delete(c.pools, k)
			hp.Drain(nil)
		}
	}
	c.owner.CloseSpares(of)
}

// drain lets the cluster's connections end with what they carry.
func (c *Cluster) drain() {
	c.drained = true
	c.closeAltStats()
	c.owner.Close()
	c.drainPools()
}

func (c *Cluster) drainPools() {
	c.closePools(func(*cluster.Host, uint32) bool { return true })
}

// closeKey drains the pools of one of the Dialer's keys.
func (c *Cluster) closeKey(key uint32) {
	c.closePools(func(_ *cluster.Host, k uint32) bool { return k == key })
}
