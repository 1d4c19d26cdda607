package lb

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Consistent is what ring hash and maglev have in common: each request's hash
// is looked up in a table, so that requests with the same hash reach the same
// host as long as it is there. The tables are Envoy's, entry for entry.
type Consistent struct {
	// UseHostname hashes hosts by their names rather than their addresses.
	UseHostname bool
	// BalanceFactor bounds the load of a host, in percent of the average;
	// 0: there is no bound.
	BalanceFactor    uint32
	LocalityWeighted bool
}

// NeedsActive implements ActiveSharer.
func (c Consistent) NeedsActive() bool { return c.BalanceFactor > 0 }

// table maps a hash to an index of the hosts that it was made of.
type table interface {
	// pick is the attempt-th choice for a hash, -1 when there are no hosts.
	pick(hash uint64, attempt uint32) int
}

// weighted is a host and its part of the load; the parts add up to 1.
type weighted struct {
	host   *cluster.Host
	weight float64
}

// normalized are the hosts that a priority's table is made of.
type normalized struct {
	hosts    []weighted
	min, max float64
}

func (c *Consistent) normalize(set *cluster.HostSet, panics bool) normalized {
	n := normalized{min: 1}
	if !c.LocalityWeighted {
		hosts := set.Healthy
		if panics {
			hosts = set.Hosts
		}
		n.add(hosts, 1)
		return n
	}
	sum := uint64(0)
	for i := range set.Localities {
		sum += uint64(set.Localities[i].Weight)
	}
	for i := range set.Localities {
		l := &set.Localities[i]
		if l.Weight == 0 {
			continue
		}
		hosts := l.Healthy
		if panics {
			hosts = l.Hosts
		}
		n.add(hosts, float64(l.Weight)/float64(sum))
	}
	return n
}

// add takes in hosts that get share of the load together.
func (n *normalized) add(hosts []*cluster.Host, share float64) {
	sum := uint64(0)
	for _, h := range hosts {
		sum += uint64(h.Weight())
	}
	for _, h := range hosts {
		w := float64(h.Weight()) * share / float64(sum)
		n.hosts = append(n.hosts, weighted{h, w})
		n.min, n.max = min(n.min, w), max(n.max, w)
	}
}

// key is what stands for a host in the tables.
func (c *Consistent) key(h *cluster.Host) string {
	if k, ok := h.Metadata()["envoy.lb"]["hash_key"].(string); ok && k != "" {
		return k
	}
	if c.UseHostname {
		return h.Hostname // even an empty one, as Envoy
	}
	return h.Address.String()
}

// hashBuilder makes the tables on main.
type hashBuilder[S any] struct {
	cfg   *Consistent
	name  string
	make  func(*normalized, *S) table
	info  *cluster.Info
	group *stats.Group[S]
}

func newHashBuilder[S any](name string, cfg *Consistent, info *cluster.Info, make func(*normalized, *S) table) *hashBuilder[S] {
	b := &hashBuilder[S]{cfg: cfg, name: name, make: make, info: info}
	if info.Store != nil {
		b.group = stats.NewGroup[S](info.Store, stats.Scope{Prefix: info.StatScope().Prefix + name + "_lb."})
	}
	return b
}

// Build implements Builder.
func (b *hashBuilder[S]) Build(hosts *cluster.PrioritySet) Policy {
	var none S
	s := &none
	if b.group != nil {
		s = b.group.For(0)
	}
	p := &hashPolicy{name: b.name, hosts: hosts, tables: make([]table, len(hosts.Sets))}
	for i, set := range hosts.Sets {
		n := b.cfg.normalize(set, hosts.Load.Panic[i])
		t := b.make(&n, s)
		if b.cfg.BalanceFactor > 0 {
			t = newBounded(t, n.hosts, b.info.Resources, b.cfg.BalanceFactor)
		}
		p.tables[i] = t
		p.of = append(p.of, n.hosts)
	}
	return p
}

// Close implements Builder.
func (b *hashBuilder[S]) Close() {
	if b.group != nil {
		b.group.Close()
	}
}

// hashPolicy is a policy whose tables are made, for one set of hosts.
type hashPolicy struct {
	name   string
	hosts  *cluster.PrioritySet
	tables []table // by priority
	of     [][]weighted
}

// Name implements Policy.
func (p *hashPolicy) Name() string { return p.name }

// New implements Policy.
func (p *hashPolicy) New(s *cluster.Stats, _ *cluster.PrioritySet) Balancer {
	b := &hashBalancer{hashPolicy: p, stats: s, tables: p.tables}
	for i, t := range p.tables {
		if t, ok := t.(*bounded); ok {
			if i == 0 {
				b.tables = make([]table, len(p.tables))
			}
			b.tables[i] = t.forWorker()
		}
	}
	return b
}

type hashBalancer struct {
	*hashPolicy
	stats  *cluster.Stats
	tables []table
}

// Choose implements Balancer.
func (b *hashBalancer) Choose(ctx Context) *cluster.Host {
	hash, ok := ctx.HashKey()
	if !ok {
		hash = rand.Uint64()
	}
	p, _ := b.hosts.Load.Pick(uint32(hash % 100))
	if b.hosts.Load.Panic[p] {
		b.stats.LB.HealthyPanic.Inc()
	}
	var h *cluster.Host
	for attempt := range uint32(ctx.HostSelectionRetryCount() + 1) {
		i := b.tables[p].pick(hash, attempt)
		if i < 0 {
			return nil
		}
		if h = b.of[p][i].host; !ctx.ShouldSelectAnotherHost(h) {
			break
		}
	}
	return h
}

// Update implements Balancer: other hosts come with another policy.
func (b *hashBalancer) Update(*cluster.PrioritySet) {}
