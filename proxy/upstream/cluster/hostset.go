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
	// there are several. HasLocal tells that the first is the proxy's own.
	Localities []LocalityHosts
	HasLocal   bool
	// Overprovisioning is in percent.
	Overprovisioning uint32
	// WeightedHealth has hosts count by their weights in how much load the
	// set can carry.
	WeightedHealth bool
}

// LocalityHosts are a priority's hosts of one locality.
type LocalityHosts struct {
	Locality                 *Locality // never nil
	Weight                   uint32    // 0: it has none and gets no load by weight
	Hosts, Healthy, Degraded []*Host
	Excluded                 int
}

// NewHostSet sorts hosts by their health. localities have their Hosts set and
// may be nil.
func NewHostSet(hosts []*Host, localities []LocalityHosts, overprovisioning uint32) *HostSet {
	s := &HostSet{Hosts: hosts, Localities: localities, Overprovisioning: overprovisioning}
	s.sort()
	return s
}

// Resorted is the set with its hosts sorted by their health of now.
func (s *HostSet) Resorted() *HostSet {
	c := *s
	c.Localities = slices.Clone(s.Localities)
	c.sort()
	return &c
}

func (s *HostSet) sort() {
	s.Healthy, s.Degraded, s.Excluded = byHealth(s.Hosts)
	for i := range s.Localities {
		l := &s.Localities[i]
		l.Healthy, l.Degraded, l.Excluded = byHealth(l.Hosts)
	}
}

func byHealth(hosts []*Host) (healthy, degraded []*Host, excluded int) {
	if !slices.ContainsFunc(hosts, func(h *Host) bool { return h.Health() != 0 }) {
		return hosts, nil, 0
	}
	for _, h := range hosts {
		switch h.Usability() {
		case Healthy:
			healthy = append(healthy, h)
		case Degraded:
			degraded = append(degraded, h)
		}
		if h.Excluded() {
			excluded++
		}
	}
	return healthy, degraded, excluded
}

// PrioritySet is all hosts of a cluster, and how load is spread over its
// priorities: immutable.
type PrioritySet struct {
	Sets []*HostSet
	Load PriorityLoad
	// PanicThreshold is in percent of hosts.
	PanicThreshold float64
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
