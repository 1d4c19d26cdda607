package upstream

import "github.com/weirproxy/weir/proxy/network"

// ownPool ends a pool with the downstream connection that it is for
// (connection_pool_per_downstream_connection): nobody else could use what is
// in it. Requests under way, which are being ended as well, end first.
type ownPool struct {
	c *Cluster
	k poolKey
}

// OnEvent implements network.ConnectionCallbacks.
func (o *ownPool) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		return
	}
	if hp := o.c.pools[o.k]; hp != nil {
		delete(o.c.pools, o.k)
		hp.Drain(nil)
	}
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (*ownPool) OnAboveWriteBufferHighWatermark() {}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (*ownPool) OnBelowWriteBufferLowWatermark() {}
