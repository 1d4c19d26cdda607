package echo

import "github.com/weirproxy/weir/proxy/network"

func newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	c := cb.Connection()
	c.EnableHalfClose(true)
	f := &filter{c, c.Loop().NewBuffer()}
	c.AddCallbacks(f)
	return f
}

type filter struct {
	conn *network.Connection
	out  *network.Buffer
}

// OnNewConnection implements network.ReadFilter.
func (*filter) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (f *filter) OnData(b *network.Buffer, end bool) network.FilterStatus {
	f.out.Move(b)
	f.conn.Write(f.out, end)
	return network.StopIteration
}

// OnEvent implements network.ConnectionCallbacks.
func (*filter) OnEvent(network.ConnectionEvent) {}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks: who
// does not read is not read either.
func (f *filter) OnAboveWriteBufferHighWatermark() { f.conn.ReadDisable(true) }

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (f *filter) OnBelowWriteBufferLowWatermark() { f.conn.ReadDisable(false) }
