package cluster

// HostSet is the hosts of one priority, immutable. Slices are in the order of
// the configuration; those of usable hosts are the same slice as Hosts when
// nothing is wrong with any.
type HostSet struct {
	Priority uint32
	Hosts    []*Host
	Healthy  []*Host
	Degraded []*Host
	// Excluded is how many hosts are left out of load calculations.
	Excluded int
	// Localities are set when the hosts have more than one locality or
	// localities have weights.
	Localities []LocalityHosts
	// Overprovisioning is in percent: 140 lets 72% healthy hosts take all load.
	Overprovisioning uint32
}

// LocalityHosts are a priority's hosts of one locality.
type LocalityHosts struct {
	Locality                 *Locality
	Weight                   uint32 // 0: none given, the locality gets no load by weight
	Hosts, Healthy, Degraded []*Host
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
