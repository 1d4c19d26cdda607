package tcpproxy

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// upSide is a proxy as its upstream connection sees it.
type upSide proxy

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
	if ev == network.Connected || u.over {
		return
	}
	u.failure = u.up.FailureReason()
	if u.up.PeerReset() {
		u.flags |= streaminfo.UpstreamRemoteReset
		u.down.Close(network.Abort)
		return
	}
	u.down.Close(network.FlushWrite)
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks:
// upstream takes no more.
func (u *upSide) OnAboveWriteBufferHighWatermark() {
	if u.over {
		return
	}
	u.stats.PausedReading.Inc()
	u.down.ReadDisable(true)
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (u *upSide) OnBelowWriteBufferLowWatermark() {
	if u.over {
		return
	}
	u.stats.Resumed.Inc()
	u.down.ReadDisable(false)
}
