package upstream

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// assignment is a compiled ClusterLoadAssignment.
type assignment struct {
	groups           []endpointGroup
	overprovisioning uint32 // percent
	weightedHealth   bool
	drop             float64       // of requests
	category         string        // of those
	stale            time.Duration // without news the endpoints go after it; 0: never
}

// endpointGroup is a locality's endpoints of one priority.
type endpointGroup struct {
	locality         *cluster.Locality // never nil
	weight, priority uint32
	metadata         cluster.Metadata
	endpoints        []endpoint
}

type endpoint struct {
	addr     network.Address
	more     []network.Address // further ones
	name     string            // to be resolved, "" for an address
	hostname string
	weight   uint32
	health   cluster.HealthFlag
	metadata cluster.Metadata
	check    healthCheck
}

// healthCheck is an endpoint's health_check_config.
type healthCheck struct {
	hostname string
	addr     network.Address // unset: the endpoint's
	port     uint16          // 0: the endpoint's
	off      bool
}

// address is where checks of an endpoint go, unset when to its own address.
func (c *healthCheck) address(own network.Address) network.Address {
	to := own
	if c.addr.IsSet() {
		to = c.addr
	}
	if c.port != 0 && !to.IsPipe() {
		to = network.IPAddress(netip.AddrPortFrom(to.Addr(), c.port))
	}
	if to == own {
		return network.Address{}
	}
	return to
}

// merge is the making of a cluster's next set of hosts from an assignment and
// the hosts that there are.
type merge struct {
	c          *master
	old        map[network.Address]*cluster.Host // what is left of them was not named
	seen       map[network.Address]bool
	priorities []mergedPriority
	added      []*cluster.Host
	changed    bool
}

type mergedPriority struct {
	hosts      []*cluster.Host
	localities []cluster.LocalityHosts
	weighted   bool
}

// apply makes the assignment's endpoints the cluster's hosts. Hosts that stay
// keep their identity, and with it their connections and counters.
func (c *master) apply(a *assignment) {
	g := &merge{c: c}
	if c.hosts != nil {
		g.old = make(map[network.Address]*cluster.Host, c.hosts.Total())
		for h := range c.hosts.All {
			g.old[h.Address] = h
		}
	}
	if c.cfg.kind != static {
		g.seen = map[network.Address]bool{}
	}
	g.priorities = make([]mergedPriority, 1)
	for i := range a.groups {
		g.group(&a.groups[i])
	}
	c.last, c.category = a, a.category
	if c.drop != a.drop {
		c.drop, g.changed = a.drop, true
	}
	gone := g.leave()
	same := !g.changed && len(g.added) == 0 && len(gone) == 0
	if same && (c.hosts != nil || c.cfg.kind == eds) {
		c.stats.UpdateNoRebuild.Inc()
	}
	if same && c.hosts != nil {
		return
	}
	sets := make([]*cluster.HostSet, len(g.priorities))
	for i, p := range g.priorities {
		if len(p.localities) < 2 && !p.weighted {
			p.localities = nil
		}
		local := c.m.sortLocalities(p.localities)
		sets[i] = cluster.NewHostSet(p.hosts, p.localities, a.overprovisioning)
		sets[i].HasLocal, sets[i].WeightedHealth = local, a.weightedHealth
	}
	c.setHosts(cluster.NewPrioritySet(sets, c.cfg.panicThreshold), g.added, gone)
}

// leave sorts out the hosts that are no longer named: those that have gone,
// and those that stay as long as they are healthy.
func (g *merge) leave() (gone []*cluster.Host) {
	if len(g.old) == 0 {
		return nil
	}
	for h := range g.c.hosts.All {
		switch {
		case g.old[h.Address] != h:
		case g.c.stays(h):
			if h.SetHealth(cluster.PendingDynamicRemoval, true) {
				g.changed = true
			}
			for len(g.priorities) <= int(h.Priority) {
				g.priorities = append(g.priorities, mergedPriority{})
			}
			p := &g.priorities[h.Priority]
			p.hosts = append(p.hosts, h)
			p.addLocality(&endpointGroup{locality: h.Locality}, []*cluster.Host{h})
		default:
			gone = append(gone, h)
		}
	}
	return gone
}

// sortLocalities puts the proxy's own locality first, and the others in
// Envoy's order, which consistent hashing follows. It tells whether the own
// one is there.
func (m *Manager) sortLocalities(ls []cluster.LocalityHosts) (local bool) {
	own := func(l cluster.LocalityHosts) int {
		if m.o.Locality != nil && l.Locality.Compare(m.o.Locality) == 0 {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ls, func(a, b cluster.LocalityHosts) int {
		return cmp.Or(cmp.Compare(own(a), own(b)), a.Locality.Compare(b.Locality))
	})
	return len(ls) > 0 && own(ls[0]) == 0
}

func (g *merge) group(eg *endpointGroup) {
	for len(g.priorities) <= int(eg.priority) {
		g.priorities = append(g.priorities, mergedPriority{})
	}
	p := &g.priorities[eg.priority]
	first := len(p.hosts)
	p.hosts = slices.Grow(p.hosts, len(eg.endpoints))
	for i := range eg.endpoints {
		e := &eg.endpoints[i]
		if g.seen != nil {
			if g.seen[e.addr] {
				continue
			}
			g.seen[e.addr] = true
		}
		p.hosts = append(p.hosts, g.host(eg, e))
	}
	p.weighted = p.weighted || eg.weight > 0
	p.addLocality(eg, p.hosts[first:len(p.hosts):len(p.hosts)])
}

// host is the endpoint's host: the one there is, when only what may change in
// place has changed.
func (g *merge) host(eg *endpointGroup, e *endpoint) *cluster.Host {
	h := g.old[e.addr]
	if h == nil || h.Priority != eg.priority || !sameLocality(h.Locality, eg.locality) || h.Hostname != e.hostname ||
		h.HealthCheckAddress != e.check.address(e.addr) || h.NoActiveHC != e.check.off || h.HealthCheckHostname != e.check.hostname || !slices.Equal(h.More, e.more) {
		h = cluster.NewHost(e.addr, e.hostname, e.weight, eg.locality, g.c.m.owners)
		h.Cluster, h.Zone = g.c.cfg.info, g.c.zone(h.Locality)
		if h.More = e.more; len(e.more) > 0 {
			h.SetCurrent(append([]network.Address{e.addr}, e.more...)...)
		}
		if g.c.cfg.trackHosts {
			h.Track(g.c.m.o.Stats)
		}
		h.Priority = eg.priority
		h.SetHealth(e.health, true)
		h.SetHealthySince(cluster.Now())
		h.HealthCheckAddress, h.HealthCheckHostname, h.NoActiveHC = e.check.address(e.addr), e.check.hostname, e.check.off
		if g.c.checker != nil {
			g.c.checker.Mark(h)
		}
		h.SetMetadata(e.metadata)
		h.SetLocalityMetadata(eg.metadata)
		g.added = append(g.added, h)
		return h
	}
	delete(g.old, e.addr)
	if h.SetHealth(cluster.PendingDynamicRemoval, false) {
		g.changed = true
	}
	if !sameMetadata(h.LocalityMetadata(), eg.metadata) {
		h.SetLocalityMetadata(eg.metadata)
		g.changed = true
	}
	const fromEDS = cluster.FailedEDSHealth | cluster.DegradedEDSHealth | cluster.EDSStatusDraining
	if h.Weight() != max(e.weight, 1) {
		h.SetWeight(e.weight)
		g.changed = true
	}
	if h.Health()&fromEDS != e.health {
		h.SetHealth(fromEDS, false)
		h.SetHealth(e.health, true)
		g.changed = true
	}
	if !sameMetadata(h.Metadata(), e.metadata) {
		h.SetMetadata(e.metadata)
		g.changed = true
	}
	return h
}

func (p *mergedPriority) addLocality(eg *endpointGroup, hosts []*cluster.Host) {
	for i := range p.localities {
		l := &p.localities[i]
		if sameLocality(l.Locality, eg.locality) {
			l.Hosts = append(slices.Clip(l.Hosts), hosts...)
			l.Weight = max(l.Weight, eg.weight)
			return
		}
	}
	p.localities = append(p.localities, cluster.LocalityHosts{Locality: eg.locality, Weight: eg.weight, Hosts: hosts})
}

func sameLocality(a, b *cluster.Locality) bool { return a.Compare(b) == 0 }
