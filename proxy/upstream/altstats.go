package upstream

import (
	"strings"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// maxAltNames bounds the alternative names that one worker's requests to a
// cluster may make up. Envoy has no bound.
const maxAltNames = 1000

// altStats are a worker's statistics under one alternative name.
type altStats struct {
	group *stats.Group[cluster.ResponseStats]
	own   *cluster.ResponseStats
}

// AltStats is this worker's part of what is counted under an alternative name
// (x-envoy-upstream-alt-stat-name), nil past maxAltNames.
func (c *Cluster) AltStats(name string) *cluster.ResponseStats {
	if s, ok := c.alt[name]; ok {
		return s.own
	}
	if len(c.alt) == maxAltNames {
		return nil
	}
	if c.alt == nil {
		c.alt = map[string]altStats{}
	}
	name = strings.Clone(name)
	g := stats.NewGroup[cluster.ResponseStats](c.info.Store, stats.Scope{Prefix: c.info.StatScope().Prefix + name + "."})
	s := altStats{g, g.For(c.owner.Loop.Worker)}
	c.alt[name] = s
	return s.own
}

// closeAltStats takes them off the pages.
func (c *Cluster) closeAltStats() {
	for _, s := range c.alt {
		s.group.Close()
	}
	c.alt = nil
}
