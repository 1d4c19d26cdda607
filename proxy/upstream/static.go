package upstream

// newDiscovery is how the cluster finds its hosts.
func (c *master) newDiscovery() discovery {
	switch c.cfg.kind {
	case eds:
		return &edsDiscovery{c: c}
	case strictDNS:
		return newDNSDiscovery(c)
	case aggregate:
		return newAggregate(c)
	case forward:
		return newForward(c)
	case originalDst:
		return newOriginalDst(c)
	}
	return staticDiscovery{c}
}

// staticDiscovery has all hosts from the start.
type staticDiscovery struct{ c *master }

func (s staticDiscovery) start() error {
	s.c.apply(s.c.cfg.assignment)
	s.c.cfg.assignment = nil
	s.c.ready()
	return nil
}

func (staticDiscovery) stop() {}
