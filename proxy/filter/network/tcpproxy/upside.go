package tcpproxy

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// upSide is a proxy as its upstream connection sees it.
type upSide proxy

// OnPoolFailure implements pool.TCPCallbacks.
func (u *upSide) OnPoolFailure(reason pool.FailureReason, transportFailure string, h *cluster.Host) {
	(*proxy)(u).attemptFailed(reason, transportFailure, h)
}

// OnPoolReady implements pool.TCPCallbacks.
func (u *upSide) OnPoolReady(c *network.Connection, h *cluster.Host) {
	p := (*proxy)(u)
	p.host = h
	h.Monitor().Connected(c.Loop().Worker, true)
	c.EnableHalfClose(true)
	c.AddCallbacks(u)
	c.BuildFilters(h.Cluster.Chain(func(*network.ReadCallbacks) network.ReadFilter { return u }))
	if !p.s.shedsData && p.down.Splicable() && c.Splicable() {
		p.down.AllowSplice(everything)
		c.AllowSplice(everything)
	}
	p.down.Pair(c)
	p.established(c, c)
	c.Start()
	p.flow()
}

const everything = 1 << 62

// OnNewConnection implements network.ReadFilter.
func (*upSide) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (u *upSide) OnData(b *network.Buffer, end bool) network.FilterStatus {
	u.down.Write(b, end)
	(*proxy)(u).active()
	return network.StopIteration
}

// OnEvent implements network.ConnectionCallbacks for upstream.
func (u *upSide) OnEvent(ev network.ConnectionEvent) {
	if ev != network.Connected && u.flushing {
		u.flushing = false
		u.stats.FlushActive.Dec()
	}
	if ev == network.Connected || u.over {
		return
	}
	u.failure = u.conn.FailureReason()
	if u.conn.PeerReset() {
		u.flags |= streaminfo.UpstreamRemoteReset
		u.down.Close(network.Abort)
		return
	}
	u.down.Close(network.FlushWrite)
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (u *upSide) OnAboveWriteBufferHighWatermark() { (*proxy)(u).upstreamFull() }

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (u *upSide) OnBelowWriteBufferLowWatermark() { (*proxy)(u).upstreamDrained() }
