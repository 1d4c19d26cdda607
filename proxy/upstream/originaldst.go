package upstream

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// originalDiscovery has a host for each destination that connections were going to
// when they were caught. Workers make hosts when they need them, from a
// registry that they share; main shows them in the cluster's host set, and
// takes out those that nobody uses any more.
type originalDiscovery struct {
	c   *master
	reg *registry
	// cleanup fires every cleanup_interval.
	cleanup *event.Timer
}

// registry holds the hosts. Its lock is taken when a worker first sees a
// destination, not for each connection.
type registry struct {
	owners int
	info   *cluster.Info
	added  func() // tells main
	mu     sync.Mutex
	hosts  map[netip.AddrPort]*originalHost
}

type originalHost struct {
	*cluster.Host
	used atomic.Bool // since the last cleanup
	gone atomic.Bool
}

func newOriginalDst(c *master) *originalDiscovery {
	d := &originalDiscovery{c: c}
	d.reg = &registry{owners: c.m.owners, info: c.cfg.info, hosts: map[netip.AddrPort]*originalHost{}, added: func() { c.m.o.Main.Post(d.publish) }}
	d.cleanup = c.m.o.Main.NewTimer(d.sweep)
	c.policy = originalPolicy{reg: d.reg, cfg: c.cfg.original, guard: c.m.o.Guard}
	return d
}

func (d *originalDiscovery) start() error {
	d.cleanup.Enable(d.c.cfg.original.cleanup)
	d.c.ready()
	return nil
}

func (d *originalDiscovery) stop() { d.cleanup.Release() }

// publish shows the hosts as they are now.
func (d *originalDiscovery) publish() {
	if d.c.stopped {
		return
	}
	old := make(map[*cluster.Host]bool, d.c.hosts.Total())
	for h := range d.c.hosts.All {
		old[h] = true
	}
	var hosts, added, gone []*cluster.Host
	d.reg.mu.Lock()
	for _, h := range d.reg.hosts {
		hosts = append(hosts, h.Host)
		if !old[h.Host] {
			added = append(added, h.Host)
		}
		delete(old, h.Host)
	}
	d.reg.mu.Unlock()
	for h := range old {
		gone = append(gone, h)
	}
	if len(added) == 0 && len(gone) == 0 {
		return
	}
	set := cluster.NewHostSet(hosts, nil, cluster.DefaultOverprovisioning)
	d.c.setHosts(cluster.NewPrioritySet([]*cluster.HostSet{set}, d.c.cfg.panicThreshold), added, gone)
}

// sweep takes out hosts without connections that nobody has asked for since
// the last time.
func (d *originalDiscovery) sweep() {
	d.reg.mu.Lock()
	for a, h := range d.reg.hosts {
		if !h.used.Swap(false) && h.Conns.Load() == 0 {
			h.gone.Store(true)
			delete(d.reg.hosts, a)
		}
	}
	d.reg.mu.Unlock()
	d.publish()
	d.cleanup.Enable(d.c.cfg.original.cleanup)
}

// host is the destination's host, made if there is none.
func (r *registry) host(a netip.AddrPort) *originalHost {
	r.mu.Lock()
	h := r.hosts[a]
	if h == nil {
		addr := network.IPAddress(a)
		h = &originalHost{Host: cluster.NewHost(addr, r.info.Name+addr.String(), 1, nil, r.owners)}
		h.Cluster = r.info
		r.hosts[a] = h
		defer r.added()
	}
	h.used.Store(true)
	r.mu.Unlock()
	return h
}

// originalPolicy is the load balancing policy of ORIGINAL_DST clusters.
type originalPolicy struct {
	reg   *registry
	cfg   *originalConfig
	guard DestinationGuard
}

// Name implements lb.Policy.
func (originalPolicy) Name() string { return "cluster_provided" }

// New implements lb.Policy.
func (p originalPolicy) New(lb.Env) lb.ThreadAware { return p }

// Factory implements lb.ThreadAware: hosts are found by need.
func (p originalPolicy) Factory(*cluster.PrioritySet) lb.Factory { return originalFactory{p} }

// Close implements lb.ThreadAware.
func (originalPolicy) Close() {}

type originalFactory struct{ originalPolicy }

// New implements lb.Factory.
func (f originalFactory) New(s *cluster.Stats) lb.Balancer {
	return &originalBalancer{originalPolicy: f.originalPolicy, stats: s, known: map[netip.AddrPort]*originalHost{}}
}

// originalBalancer is a worker's. known spares it the registry's lock.
type originalBalancer struct {
	originalPolicy
	stats *cluster.Stats
	known map[netip.AddrPort]*originalHost
}

// Choose implements lb.Balancer.
func (b *originalBalancer) Choose(ctx lb.Context) *cluster.Host {
	conn := ctx.DownstreamConnection()
	to, ok := b.destination(ctx, conn)
	if !ok {
		return nil
	}
	if b.guard != nil && b.guard(to) != nil {
		b.stats.OriginalDstHostInvalid.Inc()
		return nil
	}
	h := b.known[to]
	if h == nil || h.gone.Load() {
		h = b.reg.host(to)
		b.known[to] = h
	}
	if !h.used.Load() {
		h.used.Store(true)
	}
	return h.Host
}

// destination is where the request or connection wants to go: by its filter
// state, metadata or header, if the cluster trusts those, or as it was caught.
// What is no address is passed over.
func (b *originalBalancer) destination(ctx lb.Context, conn *network.Connection) (to netip.AddrPort, ok bool) {
	state := map[string]any(nil)
	if info := ctx.StreamInfo(); info != nil {
		state = info.FilterState
	}
	if to, ok = b.override(stateText(conn, state, "envoy.network.transport_socket.original_dst_address")); ok {
		return to, true
	}
	if to, ok = b.override(b.fromMetadata(ctx, conn)); ok {
		return to, true
	}
	if h := ctx.RequestHeaders(); h != nil && b.cfg.header != "" {
		if v, has := h.GetName(b.cfg.header); has {
			if to, ok = b.parse(v); ok {
				return to, true
			}
		}
	}
	if conn == nil || conn.Info == nil || !conn.Info.LocalRestored || conn.LocalAddress().IsPipe() {
		return to, false
	}
	return b.withPort(conn.LocalAddress().AddrPort), true
}

// override is the destination that something other than the connection says, if
// it says any.
func (b *originalBalancer) override(v string) (to netip.AddrPort, ok bool) {
	if v == "" {
		return to, false
	}
	return b.parse(v)
}

func (b *originalBalancer) parse(v string) (to netip.AddrPort, ok bool) {
	to, err := netip.ParseAddrPort(v)
	if err != nil {
		b.stats.OriginalDstHostInvalid.Inc()
		return to, false
	}
	return b.withPort(to), true
}

// fromMetadata is what the request's metadata, else the connection's, says.
func (b *originalBalancer) fromMetadata(ctx lb.Context, conn *network.Connection) string {
	if b.cfg.metadata == nil {
		return ""
	}
	if info := ctx.StreamInfo(); info != nil {
		if v, ok := b.cfg.metadata.Text(info.Metadata); ok {
			return v
		}
	}
	if conn != nil && conn.Info != nil {
		v, _ := b.cfg.metadata.Text(conn.Info.Metadata)
		return v
	}
	return ""
}

func (b *originalBalancer) withPort(a netip.AddrPort) netip.AddrPort {
	port := a.Port()
	if b.cfg.port != 0 {
		port = b.cfg.port
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), port)
}

// Update implements lb.Updater.
func (b *originalBalancer) Update(*cluster.PrioritySet) {
	for a, h := range b.known {
		if h.gone.Load() {
			delete(b.known, a)
		}
	}
}
