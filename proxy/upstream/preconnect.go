package upstream

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// atOnce bounds how many connections are made ahead for one request.
const atOnce = 3

// preconnect makes connections to the hosts that come next (predictive
// preconnecting), as a stream is about to start in the pool with the key.
func (c *Cluster) preconnect(k poolKey, downstream *network.Connection) {
	c.ahead(c.load, func(h *cluster.Host) bool {
		k.host, k.asks = h, c.TransportOptions(h, downstream, nil, "")
		return c.pool(k).Preconnect(c.info.Preconnect.Predictive)
	})
}

// preconnectTCP is preconnect for TCP connections.
func (c *Cluster) preconnectTCP(p cluster.Priority, key uint32, downstream *network.Connection) {
	c.ahead(c.owner.TCPLoad, func(h *cluster.Host) bool {
		return pool.PreconnectTCP(&c.owner, h, p, key, c.TransportOptions(h, downstream, nil, ""), c.info.Preconnect.Predictive)
	})
}

func (c *Cluster) ahead(load func() pool.Load, connect func(*cluster.Host) bool) {
	peeker, ok := c.balancer.(lb.Peeker)
	if !ok || c.drained {
		return
	}
	for range atOnce {
		if !load().Short(c.info.Preconnect.Predictive, 1) {
			return
		}
		if h := peeker.Peek(lb.NoContext{}); h == nil || !connect(h) {
			return
		}
	}
}

// load is what the cluster's HTTP connections have to carry.
func (c *Cluster) load() (l pool.Load) {
	for _, hp := range c.pools {
		of := hp.Load()
		l.Pending, l.Active, l.Capacity = l.Pending+of.Pending, l.Active+of.Active, l.Capacity+of.Capacity
	}
	return l
}
