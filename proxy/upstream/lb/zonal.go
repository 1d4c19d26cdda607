package lb

import (
	"math/rand/v2"
	"slices"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// picker picks one of the hosts of one source. Policies that keep no health
// of their own differ in it only.
type picker interface{ pick() *cluster.Host }

// zonal is the balancer of the policies that pick by priority, then health,
// then (when the policy says so) locality, then in their own way.
type zonal struct {
	*zonalFactory
	stats   *cluster.Stats
	sources []prioritySources
	ahead   []*cluster.Host // that Peek has told of
}

// zonalFactory is what the workers' balancers share.
type zonalFactory struct {
	Locality
	hosts *cluster.PrioritySet
	make  func([]*cluster.Host) picker
	zones zoneRouting // of priority 0
	local bool        // there is a local cluster
}

// threadAware is the policy that picks from a source by what make makes.
func (l Locality) threadAware(env Env, make func([]*cluster.Host) picker) ThreadAware {
	return static(func(hosts *cluster.PrioritySet) Factory {
		f := &zonalFactory{Locality: l, hosts: hosts, make: make}
		if env.Local != nil {
			if local := env.Local(); local != nil {
				f.local, f.zones = true, l.Zone.route(hosts.Sets[0], local, hosts.PanicThreshold)
			}
		}
		return f
	})
}

// New implements Factory.
func (f *zonalFactory) New(s *cluster.Stats) Balancer {
	if f.local {
		s.LB.RecalculateZoneStructures.Inc()
		if f.zones.localMissing {
			s.LB.LocalClusterNotOK.Inc()
		}
		if f.zones.tooSmall {
			s.LB.ZoneClusterTooSmall.Inc()
		}
	}
	return &zonal{zonalFactory: f, stats: s, sources: make([]prioritySources, len(f.hosts.Sets))}
}

// health is which of a priority's hosts are picked from.
type health uint8

const (
	healthy health = iota
	degraded
	everyone // in panic
	numHealth
)

// prioritySources are made when first needed: most clusters only ever use the
// healthy hosts of their first priority.
type prioritySources struct {
	flat     [numHealth]picker
	weighted [numHealth]*edf[*locality]
	zones    [numHealth][]picker
}

type locality struct {
	weight float64
	picker picker
}

// Choose implements Balancer.
func (z *zonal) Choose(ctx Context) (h *cluster.Host) {
	if h := z.peeked(ctx); h != nil {
		return h
	}
	for range ctx.HostSelectionRetryCount() + 1 {
		p := z.source(ctx)
		if p == nil {
			return nil
		}
		if h = p.pick(); !ctx.ShouldSelectAnotherHost(h) {
			break
		}
	}
	return h
}

// Peek implements Peeker.
func (z *zonal) Peek(ctx Context) *cluster.Host {
	if z.hosts.Total() <= len(z.ahead) {
		return nil
	}
	p := z.source(ctx)
	if _, ok := p.(interface{ byLoad() }); ok || p == nil {
		return nil
	}
	h := p.pick()
	z.ahead = append(z.ahead, h)
	return h
}

// peeked takes the next host that Peek has told of, unless the request wants
// another than any would.
func (z *zonal) peeked(ctx Context) *cluster.Host {
	if len(z.ahead) == 0 || ctx.PriorityLoad(z.hosts, &z.hosts.Load) != &z.hosts.Load {
		return nil
	}
	h := z.ahead[0]
	z.ahead = slices.Delete(z.ahead, 0, 1)
	if ctx.ShouldSelectAnotherHost(h) {
		return nil
	}
	return h
}

// source is what to pick from, nil when there is nothing.
func (z *zonal) source(ctx Context) picker {
	if len(z.sources) == 0 {
		return nil
	}
	load := ctx.PriorityLoad(z.hosts, &z.hosts.Load)
	p, h := 0, healthy
	if load.Healthy[0] < 100 {
		var deg bool
		if p, deg = load.Pick(uint32(rand.N(100))); deg {
			h = degraded
		}
	}
	set, src := z.hosts.Sets[p], &z.sources[p]
	if z.hosts.Load.Panic[p] {
		z.stats.LB.HealthyPanic.Inc()
		if z.Zone.FailOnPanic {
			return nil
		}
		return z.flat(set, src, everyone)
	}
	if z.Weighted && len(set.Localities) > 0 {
		if l := z.weighted(set, src, h); l != nil {
			return l
		}
	}
	if p == 0 && z.zones.mode != zoneOff && (z.Zone.Enabled >= 100 || rand.Uint32N(100) < z.Zone.Enabled) {
		if !z.zones.localPanic {
			return z.zone(set, src, h)
		}
		z.stats.LB.LocalClusterNotOK.Inc()
		if z.Zone.FailOnPanic {
			return nil
		}
	}
	return z.flat(set, src, h)
}

// flat is all hosts of a priority and health.
func (z *zonal) flat(set *cluster.HostSet, src *prioritySources, h health) picker {
	if src.flat[h] == nil {
		src.flat[h] = z.of(h, set.Hosts, set.Healthy, set.Degraded)
	}
	return src.flat[h]
}

// weighted picks a locality by its effective weight, which falls when
// fewer of its hosts are usable than overprovisioning makes up for. It returns
// nil when no locality has a weight.
func (z *zonal) weighted(set *cluster.HostSet, src *prioritySources, h health) picker {
	if src.weighted[h] == nil {
		e := &edf[*locality]{}
		for i := range set.Localities {
			l := &set.Localities[i]
			p := z.of(h, l.Hosts, l.Healthy, l.Degraded)
			if p == nil || l.Weight == 0 || len(l.Hosts) == l.Excluded {
				continue
			}
			usable := len(l.Healthy)
			if h == degraded {
				usable = len(l.Degraded)
			}
			w := float64(l.Weight) * min(1, float64(set.Overprovisioning)/100*float64(usable)/float64(len(l.Hosts)-l.Excluded))
			e.add(w, &locality{w, p})
		}
		src.weighted[h] = e
	}
	e := src.weighted[h]
	if len(e.heap) == 0 {
		return nil
	}
	return e.pick(func(l *locality) float64 { return l.weight }).picker
}

// zone is the hosts of the locality that zone aware routing picks.
func (z *zonal) zone(set *cluster.HostSet, src *prioritySources, h health) picker {
	i := z.zones.pick(&z.stats.LB)
	if src.zones[h] == nil {
		src.zones[h] = make([]picker, len(set.Localities))
	}
	if src.zones[h][i] == nil {
		l := &set.Localities[i]
		src.zones[h][i] = z.of(h, l.Hosts, l.Healthy, l.Degraded)
	}
	return src.zones[h][i]
}

// of makes the picker of one of these, nil when it would be empty.
func (z *zonal) of(h health, all, healthyHosts, degradedHosts []*cluster.Host) picker {
	hosts := all
	switch h {
	case healthy:
		hosts = healthyHosts
	case degraded:
		hosts = degradedHosts
	}
	if len(hosts) == 0 {
		return nil
	}
	return z.make(hosts)
}
