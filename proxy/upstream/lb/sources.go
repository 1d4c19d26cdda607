package lb

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// picker picks one of the hosts of one source. Policies that keep no health
// of their own differ in it only.
type picker interface{ pick() *cluster.Host }

// zonal is the balancer of the policies that pick by priority, then health,
// then (when the policy says so) locality weight, then in their own way.
type zonal struct {
	stats    *cluster.Stats
	hosts    *cluster.PrioritySet
	weighted bool // by locality weight
	make     func([]*cluster.Host) picker

	sources []prioritySources
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
	flat       [numHealth]picker
	localities [numHealth]*edf[*locality]
}

type locality struct {
	weight float64
	picker picker
}

func (z *zonal) Update(hosts *cluster.PrioritySet) {
	z.hosts = hosts
	z.sources = make([]prioritySources, len(hosts.Sets))
}

func (z *zonal) Choose(ctx Context) (h *cluster.Host) {
	for range ctx.HostSelectionRetryCount() + 1 {
		if h = z.chooseOnce(ctx); h == nil || !ctx.ShouldSelectAnotherHost(h) {
			break
		}
	}
	return h
}

func (z *zonal) chooseOnce(ctx Context) *cluster.Host {
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
		if load.Panic[p] {
			z.stats.LB.HealthyPanic.Inc()
			h = everyone
		}
	} else if load.Panic[0] {
		z.stats.LB.HealthyPanic.Inc()
		h = everyone
	}
	set, src := z.hosts.Sets[p], &z.sources[p]
	if z.weighted && h != everyone && len(set.Localities) > 0 {
		if l := z.chooseLocality(set, src, h); l != nil {
			return l.pick()
		}
	}
	if src.flat[h] == nil {
		hosts := hostsOf(h, set.Hosts, set.Healthy, set.Degraded)
		if len(hosts) == 0 {
			return nil
		}
		src.flat[h] = z.make(hosts)
	}
	return src.flat[h].pick()
}

// chooseLocality picks a locality by its effective weight, which falls when
// fewer of its hosts are usable than overprovisioning makes up for. It returns
// nil when no locality has a weight.
func (z *zonal) chooseLocality(set *cluster.HostSet, src *prioritySources, h health) picker {
	if src.localities[h] == nil {
		e := &edf[*locality]{}
		for i := range set.Localities {
			l := &set.Localities[i]
			hosts := hostsOf(h, l.Hosts, l.Healthy, l.Degraded)
			if len(hosts) == 0 || l.Weight == 0 {
				continue
			}
			usable := float64(set.Overprovisioning) / 100 * float64(len(hosts)) / float64(len(l.Hosts))
			w := float64(l.Weight) * min(1, usable)
			e.add(w, &locality{w, z.make(hosts)})
		}
		src.localities[h] = e
	}
	e := src.localities[h]
	if len(e.heap) == 0 {
		return nil
	}
	return e.pick(func(l *locality) float64 { return l.weight }).picker
}

func hostsOf(h health, all, healthyHosts, degradedHosts []*cluster.Host) []*cluster.Host {
	switch h {
	case healthy:
		return healthyHosts
	case degraded:
		return degradedHosts
	}
	return all
}
