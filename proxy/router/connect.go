package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
	"github.com/weirproxy/weir/proxy/upstream/proxyprotocol"
)

// tcpConnect waits for the connection that a terminated CONNECT becomes.
type tcpConnect struct{ u *upstreamRequest }

// OnPoolReady implements pool.TCPCallbacks.
func (t *tcpConnect) OnPoolReady(conn *network.Connection, h *cluster.Host) {
	e := &tcpUpstream{u: t.u, conn: conn}
	conn.AddCallbacks(e)
	conn.BuildFilters(h.Cluster.Chain(func(*network.ReadCallbacks) network.ReadFilter { return e }))
	conn.EnableHalfClose(true)
	conn.Start()
	t.u.OnPoolReady(e, h, conn, 0)
}

// OnPoolFailure implements pool.TCPCallbacks.
func (t *tcpConnect) OnPoolFailure(reason pool.FailureReason, failure string, h *cluster.Host) {
	t.u.OnPoolFailure(reason, failure, h)
}

// tcpUpstream is an upstream request whose payload is a raw TCP stream: it
// answers 200 by itself when the connection stands.
type tcpUpstream struct {
	u        *upstreamRequest
	conn     *network.Connection
	cb       http.StreamCallbacks
	answered bool
	over     bool
}

// EncodeHeaders implements http.RequestEncoder.
func (t *tcpUpstream) EncodeHeaders(_ *http.HeaderMap, end bool) error {
	if v := t.u.f.tunnel.ProxyProtocol; v > 0 {
		b, info := t.conn.Loop().NewBuffer(), t.u.f.cb.StreamInfo()
		b.Append(proxyprotocol.Header(v, info.DownstreamRemote.AddrPort, info.DownstreamLocal.AddrPort))
		t.conn.Write(b, false)
	}
	if end {
		t.conn.EndWrite()
	}
	// Not from within the call that starts the request.
	t.conn.Loop().Post(t.answer)
	return nil
}

func (t *tcpUpstream) answer() {
	if t.over || t.answered {
		return
	}
	t.answered = true
	h := t.u.ResponseHeaders()
	h.Add(http.Status, "200")
	t.u.DecodeHeaders(false)
}

// OnNewConnection implements network.ReadFilter.
func (t *tcpUpstream) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (t *tcpUpstream) OnData(b *network.Buffer, end bool) network.FilterStatus {
	t.answer()
	if t.over {
		b.Reset()
		return network.StopIteration
	}
	if end {
		t.over = true
	}
	t.u.DecodeData(b, end)
	b.Reset()
	return network.StopIteration
}

// OnEvent implements network.ConnectionCallbacks.
func (t *tcpUpstream) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected || t.over {
		return
	}
	t.over = true
	if t.cb != nil {
		t.cb.OnResetStream(http.ConnectionTermination, t.conn.FailureReason())
	}
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (t *tcpUpstream) OnAboveWriteBufferHighWatermark() {
	if t.cb != nil {
		t.cb.OnAboveWriteBufferHighWatermark()
	}
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (t *tcpUpstream) OnBelowWriteBufferLowWatermark() {
	if t.cb != nil {
		t.cb.OnBelowWriteBufferLowWatermark()
	}
}

// EncodeData implements http.StreamEncoder.
func (t *tcpUpstream) EncodeData(b *network.Buffer, end bool) { t.conn.Write(b, end) }

// EncodeTrailers implements http.StreamEncoder: they only end the stream.
func (t *tcpUpstream) EncodeTrailers(*http.HeaderMap) { t.conn.EndWrite() }

// EnableTCPTunneling implements http.RequestEncoder.
func (t *tcpUpstream) EnableTCPTunneling() {}

// SetCallbacks implements http.Stream. Whoever lets go of the stream without a
// reset has sent and received all.
func (t *tcpUpstream) SetCallbacks(cb http.StreamCallbacks) {
	t.cb = cb
	if cb == nil && t.over {
		t.conn.Close(network.FlushWrite)
	}
}

// ResetStream implements http.Stream.
func (t *tcpUpstream) ResetStream(http.ResetReason) {
	t.over = true
	t.conn.Close(network.NoFlush)
}

// ReadDisable implements http.Stream.
func (t *tcpUpstream) ReadDisable(off bool) {
	if t.conn.Open() {
		t.conn.ReadDisable(off)
	}
}

// BufferLimit implements http.Stream.
func (t *tcpUpstream) BufferLimit() uint32 { return 0 }

// Details implements http.Stream.
func (t *tcpUpstream) Details() string { return "" }

var (
	_ http.RequestEncoder         = (*tcpUpstream)(nil)
	_ network.ReadFilter          = (*tcpUpstream)(nil)
	_ network.ConnectionCallbacks = (*tcpUpstream)(nil)
	_ pool.TCPCallbacks           = (*tcpConnect)(nil)
)
