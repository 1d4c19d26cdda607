package router

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// tcpConnect waits for the connection that a terminated CONNECT becomes.
type tcpConnect struct{ u *upstreamRequest }

// OnPoolReady implements pool.TCPCallbacks.
func (t *tcpConnect) OnPoolReady(conn *network.Connection, h *cluster.Host) {
	e := &tcpUpstream{u: t.u, conn: conn}
	conn.AddCallbacks(e)
	conn.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return e }})
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
		b := t.conn.Loop().NewBuffer()
		b.Append(proxyHeader(v, t.u.f.cb.StreamInfo().DownstreamRemote, t.u.f.cb.StreamInfo().DownstreamLocal))
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

// proxyHeader is a PROXY protocol header (haproxy.org/download/2.9/doc/
// proxy-protocol.txt) of version 1 or 2 for a connection from src to dst.
func proxyHeader(version int, src, dst network.Address) []byte {
	from, to := src.AddrPort, dst.AddrPort
	known := from.IsValid() && to.IsValid() && from.Addr().Unmap().Is4() == to.Addr().Unmap().Is4()
	if version == 1 {
		if !known {
			return []byte("PROXY UNKNOWN\r\n")
		}
		family := " TCP6 "
		if from.Addr().Unmap().Is4() {
			family = " TCP4 "
		}
		return []byte("PROXY" + family + from.Addr().Unmap().String() + " " + to.Addr().Unmap().String() + " " +
			strconv.Itoa(int(from.Port())) + " " + strconv.Itoa(int(to.Port())) + "\r\n")
	}
	b := []byte("\r\n\r\n\x00\r\nQUIT\n")
	if !known {
		return append(b, 0x20, 0, 0, 0) // LOCAL
	}
	a, z := from.Addr().Unmap().AsSlice(), to.Addr().Unmap().AsSlice()
	family := byte(0x21)
	if len(a) == 4 {
		family = 0x11
	}
	b = append(b, 0x21, family, 0, byte(2*len(a)+4))
	b = append(append(b, a...), z...)
	return append(b, byte(from.Port()>>8), byte(from.Port()), byte(to.Port()>>8), byte(to.Port()))
}

var (
	_ http.RequestEncoder         = (*tcpUpstream)(nil)
	_ network.ReadFilter          = (*tcpUpstream)(nil)
	_ network.ConnectionCallbacks = (*tcpUpstream)(nil)
	_ pool.TCPCallbacks           = (*tcpConnect)(nil)
)
