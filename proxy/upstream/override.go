package upstream

import (
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// override is the host that a filter asked for by its address. done tells that
// load balancing is not to look for another.
func (c *Cluster) override(ctx lb.Context) (h *cluster.Host, done bool) {
	info := ctx.StreamInfo()
	if info == nil || info.OverrideHost == "" {
		return nil, false
	}
	h = c.hostAt(info.OverrideHost)
	info.OverrideMissing = h == nil
	if h == nil || !c.info.Override.Allows(h) {
		return nil, info.OverrideStrict
	}
	return h, true
}

// hostAt is the host with that address; nil when there is none.
func (c *Cluster) hostAt(address string) *cluster.Host {
	if c.byAddress == nil {
		c.byAddress = make(map[string]*cluster.Host, c.hosts.Total())
		for h := range c.hosts.All {
			c.byAddress[h.Address.String()] = h
		}
	}
	return c.byAddress[address]
}
