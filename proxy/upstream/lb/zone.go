package lb

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Locality is how hosts of several localities share the load
// (common.v3.LocalityLbConfig).
type Locality struct {
	// Weighted picks a locality by its weight first.
	Weighted bool
	// Zone prefers the proxy's own locality, when there is a local cluster.
	Zone ZoneAware
}

// ZoneAware is a compiled ZoneAwareLbConfig.
type ZoneAware struct {
	Enabled        uint32 // percent of requests
	MinClusterSize uint64
	FailOnPanic    bool // no host rather than an unhealthy one
	// ForceMinHosts sends all to the own locality, whatever its capacity, when
	// it has so many healthy hosts; 0: never.
	ForceMinHosts uint32
	ByWeight      bool // localities count by their hosts' weights
}

// DefaultZoneAware is what holds without a configuration.
func DefaultZoneAware() ZoneAware { return ZoneAware{Enabled: 100, MinClusterSize: 6} }

// zoneRouting is how priority 0 spreads over localities. The proxy's own is
// the first.
type zoneRouting struct {
	mode zoneMode
	// localPanic tells that too few of the local cluster's hosts are healthy
	// to conclude anything from their distribution.
	localPanic bool
	toLocal    uint64   // of 10,000
	residual   []uint64 // capacity left, accumulated over the localities
	// Why mode is zoneOff, for statistics.
	localMissing, tooSmall bool
}

type zoneMode uint8

const (
	zoneOff zoneMode = iota
	zoneDirect
	zoneResidual
)

// route compares where the proxies are with where the hosts are: what of its
// load a locality can keep, stays; the rest goes where capacity is left.
func (z *ZoneAware) route(set, local *cluster.HostSet, panicThreshold float64) (r zoneRouting) {
	r.localPanic = local.UsablePercent() < panicThreshold
	switch {
	case len(set.Localities) < 2 || len(local.Localities) < 2 && z.ForceMinHosts == 0:
		return r
	case !local.HasLocal || len(local.Localities[0].Hosts) == 0:
		r.localMissing = true
		return r
	case uint64(len(set.Healthy)) < z.MinClusterSize:
		r.tooSmall = true
		return r
	}
	ups, locals := z.shares(set, local)
	forced := z.ForceMinHosts > 0 && len(set.Localities[0].Healthy) >= int(z.ForceMinHosts)
	if set.HasLocal && (ups[0] > 0 && ups[0] >= locals[0] || forced) {
		r.mode = zoneDirect
		return r
	}
	r.mode = zoneResidual
	if set.HasLocal && locals[0] > 0 {
		r.toLocal = ups[0] * 10000 / locals[0]
	}
	sum := uint64(0)
	for i := range ups {
		if own := i == 0 && set.HasLocal; !own && ups[i] > locals[i] {
			sum += ups[i] - locals[i]
		}
		r.residual = append(r.residual, sum)
	}
	return r
}

// shares are, of 10,000, the healthy hosts and the proxies in each of the
// hosts' localities.
func (z *ZoneAware) shares(set, local *cluster.HostSet) (ups, locals []uint64) {
	upTotal, localTotal := uint64(0), uint64(0)
	for i := range set.Localities {
		upTotal += z.size(set.Localities[i].Healthy)
	}
	proxies := map[cluster.Locality]uint64{}
	for i := range local.Localities {
		l := &local.Localities[i]
		n := z.size(l.Healthy)
		proxies[*l.Locality] = n
		localTotal += n
	}
	for i := range set.Localities {
		l := &set.Localities[i]
		n, u := z.size(l.Healthy), uint64(0)
		if n > 0 {
			u = proxies[*l.Locality]
		}
		ups = append(ups, n*10000/max(upTotal, 1))
		locals = append(locals, u*10000/max(localTotal, 1))
	}
	return ups, locals
}

func (z *ZoneAware) size(hosts []*cluster.Host) (n uint64) {
	if !z.ByWeight {
		return uint64(len(hosts))
	}
	for _, h := range hosts {
		n += uint64(h.Weight())
	}
	return n
}

// pick is the index of a locality.
func (r *zoneRouting) pick(s *cluster.LBStats) int {
	if r.mode == zoneDirect {
		s.ZoneRoutingAllDirectly.Inc()
		return 0
	}
	if rand.Uint64N(10000) < r.toLocal {
		s.ZoneRoutingSampled.Inc()
		return 0
	}
	s.ZoneRoutingCrossZone.Inc()
	total := r.residual[len(r.residual)-1]
	if total == 0 {
		s.ZoneNoCapacityLeft.Inc()
		return rand.IntN(len(r.residual))
	}
	n, i := rand.Uint64N(total), 0
	for n >= r.residual[i] {
		i++
	}
	return i
}
