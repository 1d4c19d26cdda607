package upstream

import (
	"cmp"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// forwardDiscovery has a host for each name that its cache has resolved: a
// dynamic forward proxy's. Main keeps the hosts; workers find them by the name
// that a request brings, in a registry that they share.
type forwardDiscovery struct {
	c   *master
	reg *forwardRegistry
}

type forwardRegistry struct {
	mu    sync.Mutex
	hosts map[string]*forwardHost
}

type forwardHost struct {
	*cluster.Host
	entry *dnscache.Entry
}

func newForward(c *master) *forwardDiscovery {
	d := &forwardDiscovery{c: c, reg: &forwardRegistry{hosts: map[string]*forwardHost{}}}
	c.policy = forwardPolicy{reg: d.reg, port: c.cfg.info.ForwardPort()}
	return d
}

func (d *forwardDiscovery) start() error {
	d.c.ready()
	d.c.cfg.cache.Watch(d)
	return nil
}

func (d *forwardDiscovery) stop() { d.c.cfg.cache.Unwatch(d) }

// OnAddress implements dnscache.Watcher.
func (d *forwardDiscovery) OnAddress(e *dnscache.Entry) {
	to := e.Addresses()
	if to == nil {
		return
	}
	d.reg.mu.Lock()
	h := d.reg.hosts[e.Key]
	if h != nil {
		d.reg.mu.Unlock()
		h.SetCurrent(to...)
		return
	}
	h = &forwardHost{Host: cluster.NewHost(to[0], e.Host, 1, nil, d.c.m.owners), entry: e}
	h.Cluster = d.c.cfg.info
	h.SetCurrent(to...)
	d.reg.hosts[e.Key] = h
	d.reg.mu.Unlock()
	d.publish([]*cluster.Host{h.Host}, nil)
}

// OnRemoved implements dnscache.Watcher.
func (d *forwardDiscovery) OnRemoved(e *dnscache.Entry) {
	d.reg.mu.Lock()
	h := d.reg.hosts[e.Key]
	delete(d.reg.hosts, e.Key)
	d.reg.mu.Unlock()
	if h != nil {
		d.publish(nil, []*cluster.Host{h.Host})
	}
}

func (d *forwardDiscovery) publish(added, gone []*cluster.Host) {
	d.reg.mu.Lock()
	hosts := make([]*cluster.Host, 0, len(d.reg.hosts))
	for _, h := range d.reg.hosts {
		hosts = append(hosts, h.Host)
	}
	d.reg.mu.Unlock()
	slices.SortFunc(hosts, func(a, b *cluster.Host) int { return cmp.Compare(a.Hostname, b.Hostname) })
	set := cluster.NewHostSet(hosts, nil, cluster.DefaultOverprovisioning)
	d.c.setHosts(cluster.NewPrioritySet([]*cluster.HostSet{set}, d.c.cfg.panicThreshold), added, gone)
}

// forwardName is what a request or connection wants to reach.
func forwardName(ctx lb.Context) string {
	if h := ctx.RequestHeaders(); h != nil {
		return h.Get(http.Authority)
	}
	if conn := ctx.DownstreamConnection(); conn != nil && conn.Info != nil {
		host := stateText(conn, nil, "envoy.upstream.dynamic_host")
		if host == "" {
			host = conn.Info.ServerName
		}
		if port := stateText(conn, nil, "envoy.upstream.dynamic_port"); port != "" && host != "" {
			return net.JoinHostPort(host, port)
		}
		return host
	}
	return ""
}

// forwardPolicy is the load balancing policy of dynamic forward proxies.
type forwardPolicy struct {
	reg  *forwardRegistry
	port uint16 // of names without one
}

// Name implements lb.Policy.
func (forwardPolicy) Name() string { return "cluster_provided" }

// New implements lb.Policy.
func (p forwardPolicy) New(lb.Env) lb.ThreadAware { return p }

// Factory implements lb.ThreadAware.
func (p forwardPolicy) Factory(*cluster.PrioritySet) lb.Factory { return forwardFactory{p} }

// Close implements lb.ThreadAware.
func (forwardPolicy) Close() {}

type forwardFactory struct{ forwardPolicy }

// New implements lb.Factory.
func (f forwardFactory) New(*cluster.Stats) lb.Balancer {
	return &forwardBalancer{forwardPolicy: f.forwardPolicy, known: map[string]*forwardHost{}}
}

// forwardBalancer is a worker's. known, by what requests name, spares it the
// registry's lock.
type forwardBalancer struct {
	forwardPolicy
	known map[string]*forwardHost
}

// Choose implements lb.Balancer.
func (b *forwardBalancer) Choose(ctx lb.Context) *cluster.Host {
	name := forwardName(ctx)
	if h := b.known[name]; h != nil && !h.entry.Gone() {
		h.entry.Touch()
		return h.Host
	}
	host, port, ok := dnscache.Split(name, b.port)
	if !ok {
		return nil
	}
	b.reg.mu.Lock()
	h := b.reg.hosts[dnscache.Key(host, port)]
	b.reg.mu.Unlock()
	if h == nil {
		return nil
	}
	if len(b.known) > maxKnown {
		clear(b.known)
	}
	b.known[strings.Clone(name)] = h // the name is in the request's memory
	h.entry.Touch()
	return h.Host
}

// maxKnown bounds what a worker remembers: many spellings lead to one host.
const maxKnown = 4096

// Update implements lb.Updater.
func (b *forwardBalancer) Update(*cluster.PrioritySet) {
	for n, h := range b.known {
		if h.entry.Gone() {
			delete(b.known, n)
		}
	}
}
