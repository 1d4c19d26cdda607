package upstream

import (
	"time"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/health"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/outlier"
)

// master is main's state of one cluster.
type master struct {
	m         *Manager
	cfg       *config
	static    bool
	version   string
	updated   time.Time
	group     *stats.Group[endpointStats]
	stats     *endpointStats
	byMatch   map[string]*stats.Group[matchStats] // by transport_socket_matches' names
	hosts     *cluster.PrioritySet
	policy    lb.Policy
	balancing lb.ThreadAware
	outlier   *outlier.Detector // nil without outlier detection
	checker   *health.Checkers  // nil without active health checks
	resorting bool              // healthChanged was posted
	failed    []*cluster.Host   // to tell workers of
	window    mergeWindow
	zones     map[string]*stats.Group[cluster.ZoneStats] // by the hosts' zones
	last      *assignment                                // that was applied
	drop      float64                                    // of requests: drop_overloads
	category  string                                     // of the requests that are dropped
	discovery discovery
	warm      bool
	stopped   bool
}

// discovery finds a cluster's hosts. It tells master.setHosts of each new
// set, and master.ready once the cluster can be used.
type discovery interface {
	start() error
	stop()
}

// snapshot is what workers are told of a cluster: immutable. Without hosts it
// only tells of those that have failed.
type snapshot struct {
	info    *cluster.Info
	lb      lb.Factory
	hosts   *cluster.PrioritySet
	gone    []*cluster.Host // since the snapshot before
	failed  []*cluster.Host // likewise, by health checks or outlier detection
	drop    float64         // of requests: drop_overloads
	drain   bool            // all connections, since the set has changed
	removed bool            // the cluster is gone
}

// ready puts the cluster in the place of the one before it.
func (c *master) ready() {
	if c.warm || c.stopped {
		return
	}
	if c.hosts == nil {
		c.hosts = cluster.NewPrioritySet([]*cluster.HostSet{cluster.NewHostSet(nil, nil, cluster.DefaultOverprovisioning)}, c.cfg.panicThreshold)
		if c.checker != nil {
			c.checker.Update(nil, nil)
		}
	}
	if w := &c.cfg.warm; w.waiting > 0 {
		w.onWarm = c.ready
		return
	}
	c.warm = true
	m, name := c.m, c.cfg.info.Name
	old := m.active[name]
	delete(m.warming, name)
	m.active[name] = c
	c.publish(nil, false)
	if old != nil {
		old.stop()
	}
	c.told()
	m.countClusters()
	delete(m.starting, c)
	m.checkReady()
}

// publish gives the workers the cluster as it is now.
func (c *master) publish(gone []*cluster.Host, drain bool) {
	c.m.publish(&snapshot{info: c.cfg.info, lb: c.balancing.Factory(c.hosts), hosts: c.hosts, gone: gone, failed: c.failed, drop: c.drop, drain: drain})
	c.failed = nil
}

// deliver gives the workers what was held back for the merge window.
func (c *master) deliver() {
	c.publish(nil, false)
	c.told()
}

// publishFailed tells workers of hosts that have failed while the set without
// them is held back: they let go of their connections.
func (c *master) publishFailed() {
	if len(c.failed) > 0 {
		c.m.publish(&snapshot{info: c.cfg.info, failed: c.failed})
		c.failed = nil
	}
}

// told is for the clusters that look at this one.
func (c *master) told() {
	if c.cfg.info.Name == c.m.o.LocalCluster {
		c.m.localChanged()
	}
}

func (c *master) stop() {
	c.stopped = true
	c.window.close()
	c.discovery.stop()
	c.cfg.warm.close()
	c.closeMatches()
	c.closeZones()
	c.cfg.untrack()
	c.cfg.closeFilters()
	c.group.Close()
	c.balancing.Close()
	c.stopWatching()
	if c.hosts != nil {
		c.hosts.All(func(h *cluster.Host) bool { h.Untrack(); return true })
	}
	delete(c.m.starting, c)
}

// countHosts keeps the hosts' own statistics, where there are any.
func (c *master) countHosts(gone []*cluster.Host) {
	if !c.cfg.trackHosts {
		return
	}
	for _, h := range gone {
		h.Untrack()
	}
	for h := range c.hosts.All {
		if h.Tracked() {
			healthy := int64(0)
			if h.Usability() == cluster.Healthy {
				healthy = 1
			}
			h.Stats(0).Healthy.Set(healthy)
		}
	}
}

// setHosts takes a new set of hosts and tells the workers.
func (c *master) setHosts(set *cluster.PrioritySet, added, gone []*cluster.Host) {
	c.hosts = set
	if c.outlier != nil {
		c.outlier.Update(added, gone)
	}
	if c.checker != nil {
		c.checker.Update(added, gone)
	}
	c.countHosts(gone)
	s := c.stats
	s.MembershipChange.Add(prioritiesOf(added, gone))
	c.countTransports(added)
	if c.cfg.kind == eds || c.cfg.kind == strictDNS && !c.cfg.dns.logical {
		s.MaxHostWeight.Set(int64(maxWeight(set)))
	}
	total, healthy, degraded, excluded := 0, 0, 0, 0
	for _, hs := range set.Sets {
		total += len(hs.Hosts)
		healthy += len(hs.Healthy)
		degraded += len(hs.Degraded)
		excluded += hs.Excluded
	}
	s.MembershipTotal.Set(int64(total))
	s.MembershipHealthy.Set(int64(healthy))
	s.MembershipDegraded.Set(int64(degraded))
	s.MembershipExcluded.Set(int64(excluded))
	if !c.warm {
		return
	}
	same := len(added)+len(gone) == 0
	if c.window.holds(same) {
		c.publishFailed()
		return
	}
	c.m.stats.ClusterUpdated.Inc()
	c.publish(gone, c.cfg.closeOnSetChange && !same)
	c.told()
}

// maxWeight is 1 when there are no hosts, as in Envoy.
func maxWeight(set *cluster.PrioritySet) uint32 {
	most := uint32(1)
	for h := range set.All {
		most = max(most, h.Weight())
	}
	return most
}

// prioritiesOf is how many priorities these hosts are of: as in Envoy a change
// of each is one of the membership.
func prioritiesOf(lists ...[]*cluster.Host) uint64 {
	seen := map[uint32]bool{}
	for _, hosts := range lists {
		for _, h := range hosts {
			seen[h.Priority] = true
		}
	}
	return uint64(len(seen))
}
