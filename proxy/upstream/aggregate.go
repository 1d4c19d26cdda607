package upstream

import (
	"math/rand/v2"
	"slices"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// aggregateDiscovery has no hosts of its own: workers look at the members.
type aggregateDiscovery struct{ c *master }

func newAggregate(c *master) aggregateDiscovery {
	c.policy = aggregatePolicy{c.cfg.members, c.cfg.panicThreshold}
	return aggregateDiscovery{c}
}

func (d aggregateDiscovery) start() error {
	d.c.ready()
	return nil
}

func (aggregateDiscovery) stop() {}

// aggregatePolicy is the load balancing policy of aggregate clusters.
type aggregatePolicy struct {
	members        []string
	panicThreshold float64
}

// Name implements lb.Policy.
func (aggregatePolicy) Name() string { return "cluster_provided" }

// New implements lb.Policy.
func (p aggregatePolicy) New(lb.Env) lb.ThreadAware { return p }

// Factory implements lb.ThreadAware.
func (p aggregatePolicy) Factory(*cluster.PrioritySet) lb.Factory { return aggregateFactory{p} }

// Close implements lb.ThreadAware.
func (aggregatePolicy) Close() {}

type aggregateFactory struct{ aggregatePolicy }

// New implements lb.Factory.
func (f aggregateFactory) New(*cluster.Stats) lb.Balancer {
	return &aggregateBalancer{aggregatePolicy: f.aggregatePolicy}
}

// aggregateBalancer takes the members' priorities for one long list of its
// own, and has the member that a request falls to pick a host.
type aggregateBalancer struct {
	aggregatePolicy
	table *Table
	seen  []seenMember
	all   *cluster.PrioritySet
	at    []place // by priority of all
	ctx   memberContext
}

// seenMember is a member as the list was made from.
type seenMember struct {
	cluster *Cluster
	hosts   *cluster.PrioritySet
}

// place is a member's priority.
type place struct {
	member            *Cluster
	healthy, degraded *cluster.PriorityLoad // all to this priority
}

// memberContext has a member take the priority that was chosen.
type memberContext struct {
	lb.Context
	load *cluster.PriorityLoad
}

// PriorityLoad implements lb.Context.
func (c *memberContext) PriorityLoad(*cluster.PrioritySet, *cluster.PriorityLoad) *cluster.PriorityLoad {
	return c.load
}

func (b *aggregateBalancer) bind(t *Table) { b.table = t }

// Update implements lb.Updater: the members' hosts are looked at instead.
func (b *aggregateBalancer) Update(*cluster.PrioritySet) {}

// Choose implements lb.Balancer.
func (b *aggregateBalancer) Choose(ctx lb.Context) *cluster.Host {
	if b.stale() {
		b.linearize()
	}
	if len(b.at) == 0 {
		return nil
	}
	p, degraded := ctx.PriorityLoad(b.all, &b.all.Load).Pick(rand.Uint32N(100))
	to := &b.at[p]
	b.ctx.Context, b.ctx.load = ctx, to.healthy
	if degraded {
		b.ctx.load = to.degraded
	}
	h := to.member.balancer.Choose(&b.ctx)
	b.ctx.Context = nil
	return h
}

func (b *aggregateBalancer) stale() bool {
	if b.seen == nil {
		return true
	}
	for i, name := range b.members {
		c := b.table.Get(name)
		if c != b.seen[i].cluster || c != nil && c.hosts != b.seen[i].hosts {
			return true
		}
	}
	return false
}

// linearize puts the members' priorities that have hosts one after the other.
func (b *aggregateBalancer) linearize() {
	b.seen, b.at = make([]seenMember, len(b.members)), nil
	var sets []*cluster.HostSet
	for i, name := range b.members {
		c := b.table.Get(name)
		if b.seen[i].cluster = c; c == nil {
			continue
		}
		b.seen[i].hosts = c.hosts
		for p, set := range c.hosts.Sets {
			if len(set.Hosts) == 0 {
				continue
			}
			sets = append(sets, set)
			b.at = append(b.at, place{c, only(p, len(c.hosts.Sets), false), only(p, len(c.hosts.Sets), true)})
		}
	}
	if len(sets) > 0 {
		b.all = cluster.NewPrioritySet(sets, b.panicThreshold)
	}
}

// only is all load to one of n priorities.
func only(p, n int, degraded bool) *cluster.PriorityLoad {
	l := &cluster.PriorityLoad{Healthy: make([]uint32, n), Degraded: make([]uint32, n), Panic: make([]bool, n)}
	if degraded {
		l.Degraded[p] = 100
	} else {
		l.Healthy[p] = 100
	}
	return l
}

// member is the cluster whose host h is: another than c when c is an
// aggregate.
func (c *Cluster) member(h *cluster.Host) *Cluster {
	if a, ok := c.balancer.(*aggregateBalancer); ok {
		if i := slices.IndexFunc(a.at, func(p place) bool { return p.member.info == h.Cluster }); i >= 0 {
			return a.at[i].member
		}
		if m := a.table.Get(h.Cluster.Name); m != nil {
			return m.member(h) // of an aggregate within
		}
	}
	return c
}
