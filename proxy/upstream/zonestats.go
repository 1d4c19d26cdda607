package upstream

import (
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// zone is where the responses of hosts of a locality count, nil when its zone
// or the proxy's own is not known.
func (c *master) zone(of *cluster.Locality) *stats.Group[cluster.ZoneStats] {
	own := c.m.o.Locality
	if own == nil || own.Zone == "" || of.Zone == "" {
		return nil
	}
	if g := c.zones[of.Zone]; g != nil {
		return g
	}
	if c.zones == nil {
		c.zones = map[string]*stats.Group[cluster.ZoneStats]{}
	}
	prefix := c.cfg.info.StatScope().Prefix + "zone." + own.Zone + "." + of.Zone + "."
	g := stats.NewGroup[cluster.ZoneStats](c.m.o.Stats, stats.Scope{Prefix: prefix, Lazy: true})
	c.zones[of.Zone] = g
	return g
}

// closeZones takes the statistics by zone off the pages.
func (c *master) closeZones() {
	for _, g := range c.zones {
		g.Close()
	}
}
