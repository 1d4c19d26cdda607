package cluster

import "slices"

// DefaultOverprovisioning is Envoy's overprovisioning_factor in percent: 72%
// healthy hosts can take all load.
const DefaultOverprovisioning = 140

// HostSet is the hosts of one priority, immutable. Slices are in the order of
// the configuration; Healthy is the same slice as Hosts when nothing is wrong
// with any.
type HostSet struct {
	Hosts, Healthy, Degraded []*Host
	// Excluded is how many hosts are left out of load calculations.
	Excluded int
	// Localities are the hosts by locality, when localities have weights or
	// there are several.
	Localities []LocalityHosts
	// Overprovisioning is in percent.
	Overprovisioning uint32
}

// LocalityHosts are a priority's hosts of one locality.
type LocalityHosts struct {
	Locality                 *Locality
	Weight                   uint32 // 0: it has none and gets no load by weight
	Hosts, Healthy, Degraded []*Host
}

// NewHostSet sorts hosts by their health. localities have their Hosts set and
// may be nil.
func NewHostSet(hosts []*Host, localities []LocalityHosts, overprovisioning uint32) *HostSet {
	s := &HostSet{Hosts: hosts, Localities: localities, Overprovisioning: overprovisioning}
	s.Healthy, s.Degraded = byHealth(hosts)
	for _, h := range hosts {
		if h.Excluded() {
			s.Excluded++
		}
	}
	for i := range localities {
		l := &localities[i]
		l.Healthy, l.Degraded = byHealth(l.Hosts)
	}
	return s
}

func byHealth(hosts []*Host) (healthy, degraded []*Host) {
	if !slices.ContainsFunc(hosts, func(h *Host) bool { return h.Health() != 0 }) {
		return hosts, nil
	}
	for _, h := range hosts {
		switch h.Usability() {
		case Healthy:
			healthy = append(healthy, h)
		case Degraded:
			degraded = append(degraded, h)
		}
	}
	return healthy, degraded
}

// PrioritySet is all hosts of a cluster, and how load is spread over its
// priorities: immutable.
type PrioritySet struct {
	Sets []*HostSet
	Load PriorityLoad
}

// Total is the number of hosts.
func (p *PrioritySet) Total() (n int) {
	for _, s := range p.Sets {
		n += len(s.Hosts)
	}
	return n
}

// All yields the hosts, by priority.
func (p *PrioritySet) All(yield func(*Host) bool) {
	for _, s := range p.Sets {
		for _, h := range s.Hosts {
			if !yield(h) {
				return
			}
		}
	}
}
