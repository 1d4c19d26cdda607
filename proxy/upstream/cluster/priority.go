package cluster

import "slices"

// PriorityLoad is the share of the load, in percent, that each priority's
// healthy and degraded hosts get, and which priorities are in panic: so few
// of their hosts are usable that all are used whatever their health.
type PriorityLoad struct {
	Healthy, Degraded []uint32
	Panic             []bool
}

// Pick is the priority that n, 0 to 99, falls to, and whether its degraded
// hosts are meant.
func (l *PriorityLoad) Pick(n uint32) (priority int, degraded bool) {
	for i, share := range l.Healthy {
		if n < share {
			return i, false
		}
		n -= share
	}
	for i, share := range l.Degraded {
		if n < share {
			return i, true
		}
		n -= share
	}
	return 0, false
}

// NewPrioritySet spreads the load over the sets as Envoy does: a priority
// takes what its usable hosts, times the overprovisioning factor, can carry,
// and the next one takes the rest. panicThreshold is in percent.
func NewPrioritySet(sets []*HostSet, panicThreshold float64) *PrioritySet {
	n := len(sets)
	p := &PrioritySet{Sets: sets, PanicThreshold: panicThreshold}
	l := &p.Load
	numbers := make([]uint32, 2*n)
	l.Healthy, l.Degraded, l.Panic = numbers[:n:n], numbers[n:], make([]bool, n)
	if n == 1 && len(sets[0].Healthy) == len(sets[0].Hosts) && len(sets[0].Hosts) > 0 {
		l.Healthy[0] = 100 // nearly all clusters
		return p
	}
	capacity := make([]uint32, 2*n) // in percent: of healthy hosts, then of degraded ones
	total := uint32(0)
	for i, s := range sets {
		capacity[i], capacity[n+i] = s.capacity(s.Healthy), s.capacity(s.Degraded)
		total += capacity[i] + capacity[n+i]
	}
	total = min(total, 100)
	left := distribute(l.Healthy, capacity[:n], 100, total)
	left = distribute(l.Degraded, capacity[n:], left, total)
	if !giveRest(l.Healthy, capacity[:n], left) {
		giveRest(l.Degraded, capacity[n:], left)
	}
	if total == 100 {
		return p // together they carry everything: nobody panics
	}
	all := true
	for i, s := range sets {
		l.Panic[i] = s.UsablePercent() < panicThreshold
		all = all && l.Panic[i]
	}
	if all {
		l.byHostCount(sets)
	}
	return p
}

// LoadWithout spreads the load over the priorities that are not in without, by
// what their hosts can carry. ok is false when those can carry nothing.
func (p *PrioritySet) LoadWithout(without []uint32) (l *PriorityLoad, ok bool) {
	n := len(p.Sets)
	l = &PriorityLoad{Healthy: make([]uint32, n), Degraded: make([]uint32, n), Panic: make([]bool, n)}
	healthy, degraded := make([]uint32, n), make([]uint32, n)
	total := uint32(0)
	for i, s := range p.Sets {
		if slices.Contains(without, uint32(i)) {
			continue
		}
		healthy[i], degraded[i] = s.capacity(s.Healthy), s.capacity(s.Degraded)
		total += healthy[i] + degraded[i]
	}
	if total == 0 {
		return nil, false
	}
	total = min(total, 100)
	left := distribute(l.Healthy, healthy, 100, total)
	left = distribute(l.Degraded, degraded, left, total)
	if !giveRest(l.Healthy, healthy, left) {
		giveRest(l.Degraded, degraded, left)
	}
	return l, true
}

// capacity is what share of the load some of the set's hosts can carry.
func (s *HostSet) capacity(of []*Host) uint32 {
	part, all := uint64(len(of)), uint64(len(s.Hosts)-s.Excluded)
	if s.WeightedHealth {
		part, all = 0, 0
		for _, h := range of {
			part += uint64(h.Weight())
		}
		for _, h := range s.Hosts {
			if !h.Excluded() {
				all += uint64(h.Weight())
			}
		}
	}
	if all == 0 {
		return 0
	}
	return uint32(min(100, uint64(s.Overprovisioning)*part/all))
}

// UsablePercent is how many of the hosts are healthy or degraded.
func (s *HostSet) UsablePercent() float64 {
	considered := len(s.Hosts) - s.Excluded
	if considered <= 0 {
		return 0
	}
	return 100*float64(len(s.Healthy))/float64(considered) + 100*float64(len(s.Degraded))/float64(considered)
}

// distribute gives each priority its part of left, and returns what remains.
func distribute(share, capacity []uint32, left, total uint32) uint32 {
	if total == 0 {
		return left
	}
	for i, c := range capacity {
		share[i] = min(left, c*100/total)
		left -= share[i]
	}
	return left
}

// giveRest gives what rounding left over to the first that can carry load.
func giveRest(share, capacity []uint32, left uint32) bool {
	for i, c := range capacity {
		if c > 0 {
			share[i] += left
			return true
		}
	}
	return false
}

// byHostCount spreads the load when every priority is in panic.
func (l *PriorityLoad) byHostCount(sets []*HostSet) {
	clear(l.Healthy)
	clear(l.Degraded)
	total := 0
	for _, s := range sets {
		total += len(s.Hosts)
	}
	if total == 0 {
		l.Healthy[0] = 100
		return
	}
	left, first := uint32(100), -1
	for i, s := range sets {
		l.Healthy[i] = uint32(100 * len(s.Hosts) / total)
		left -= l.Healthy[i]
		if first < 0 && len(s.Hosts) > 0 {
			first = i
		}
	}
	l.Healthy[first] += left
}
