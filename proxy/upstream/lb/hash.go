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

// hashing makes the tables on main.
type hashing[S any] struct {
	cfg   *Consistent
	make  func(*normalized, *S) table
	info  *cluster.Info
	group *stats.Group[S]
}

func newHashing[S any](name string, cfg *Consistent, env Env, make func(*normalized, *S) table) *hashing[S] {
	b := &hashing[S]{cfg: cfg, make: make, info: env.Info}
	if env.Info.Store != nil {
		b.group = stats.NewGroup[S](env.Info.Store, stats.Scope{Prefix: env.Info.StatScope().Prefix + name + "_lb."})
	}
	return b
}

// Factory implements ThreadAware.
func (b *hashing[S]) Factory(hosts *cluster.PrioritySet) Factory {
	s := new(S)
	if b.group != nil {
		s = b.group.For(0)
	}
	f := &hashFactory{hosts: hosts, tables: make([]table, len(hosts.Sets)), of: make([][]weighted, len(hosts.Sets))}
	for i, set := range hosts.Sets {
		n := b.cfg.normalize(set, hosts.Load.Panic[i])
		f.tables[i], f.of[i] = b.make(&n, s), n.hosts
		if b.cfg.BalanceFactor > 0 {
			f.tables[i] = newBounded(f.tables[i], n.hosts, b.info.Resources, b.cfg.BalanceFactor)
			f.bounded = true
		}
	}
	return f
}

// Close implements ThreadAware.
func (b *hashing[S]) Close() {
	if b.group != nil {
		b.group.Close()
	}
}

// hashFactory has the tables of one set of hosts, by priority.
type hashFactory struct {
	hosts   *cluster.PrioritySet
	tables  []table
	of      [][]weighted
	bounded bool // the tables are all *bounded
}

// New implements Factory.
func (f *hashFactory) New(s *cluster.Stats) Balancer {
	b := &hashBalancer{hashFactory: f, stats: s, tables: f.tables}
	if f.bounded {
		b.tables = make([]table, len(f.tables))
		for i, t := range f.tables {
			b.tables[i] = t.(*bounded).forWorker()
		}
	}
	return b
}

type hashBalancer struct {
	*hashFactory
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
