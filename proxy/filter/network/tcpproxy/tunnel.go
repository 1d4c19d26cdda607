package tcpproxy

import (
	"fmt"
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// tunneling is how connections are carried in HTTP requests.
type tunneling struct {
	host      *formatter.Formatter
	post      bool
	path      string // of a POST
	headers   *route.HeaderChanges
	keepHead  bool // the response's, in the filter state
	keepTrail bool
	// idHeader and idKey are the header and the metadata key of a request id;
	// "" for none.
	idHeader, idKey string
}

// The filter state of a connection in a tunnel.
const (
	tunnelOffKey     = "envoy.tcp_proxy.disable_tunneling"
	responseHeaders  = "envoy.tcp_proxy.propagate_response_headers"
	responseTrailers = "envoy.tcp_proxy.propagate_response_trailers"
)

// tunnelNamespace is where the request id is in the dynamic metadata.
const tunnelNamespace = "envoy.filters.network.tcp_proxy"

func (p *proxy) tunnelOff() bool {
	text, _ := p.state(tunnelOffKey)
	return text == "true"
}

// tunnel is an upstream that is a request: CONNECT, or POST.
type tunnel struct {
	p       *proxy
	pending pool.Cancellable // the wait for a connection
	enc     http.RequestEncoder
	conn    *network.Connection

	request, response, trailers http.HeaderMap
	stands                      bool // the response has said so
	sent, received              bool // the ends
}

func newTunnel(p *proxy) *tunnel { return &tunnel{p: p} }

// start asks for a connection to the host.
func (t *tunnel) start() {
	p := t.p
	p.pending = t
	// A failure at once has called back already, and may have tried again.
	if c := p.cluster.HTTPPool(p.host, cluster.Default, p.down, "").NewStream(t, t); c != nil {
		t.pending = c
	}
}

// Cancel implements pool.Cancellable.
func (t *tunnel) Cancel() {
	if t.pending != nil {
		t.pending.Cancel()
		t.pending = nil
	}
	t.release()
}

// release lets go of the request, cutting it off when it has not ended.
func (t *tunnel) release() {
	enc := t.enc
	if enc == nil {
		return
	}
	t.enc = nil
	enc.SetCallbacks(nil)
	if !t.sent || !t.received {
		enc.ResetStream(http.LocalReset)
	}
}

// OnPoolFailure implements pool.StreamCallbacks.
func (t *tunnel) OnPoolFailure(reason pool.FailureReason, transportFailure string, h *cluster.Host) {
	t.pending = nil
	t.p.attemptFailed(reason, transportFailure, h)
}

// OnPoolReady implements pool.StreamCallbacks.
func (t *tunnel) OnPoolReady(enc http.RequestEncoder, h *cluster.Host, conn *network.Connection, proto http.ProtocolVersion) {
	t.pending, t.enc, t.conn, t.p.host = nil, enc, conn, h
	enc.SetCallbacks(t)
	t.fillRequest()
	if err := enc.EncodeHeaders(&t.request, false); err != nil {
		t.failed(err.Error())
		return
	}
	if !t.p.s.tunnel.post && proto <= http.HTTP11 {
		enc.EnableTCPTunneling()
	}
}

func (t *tunnel) fillRequest() {
	h, s, p := &t.request, t.p.s.tunnel, t.p
	p.conn = t.conn
	loop, info := p.down.Loop(), p.info()
	c := formatter.Context{Info: &info, RequestHeaders: h, Now: loop.Now(), Time: loop.Time()}
	h.Add(http.Method, "CONNECT")
	if s.post {
		h.Set(http.Method, "POST")
		h.Add(http.Path, s.path)
		scheme := "http"
		if p.cluster.Info().Transport != nil {
			scheme = "https"
		}
		h.Add(http.Scheme, scheme)
	}
	h.Add(http.Authority, s.host.Format(&c))
	if s.idHeader != "" {
		id := newID()
		p.down.EnsureInfo().SetMetadata(tunnelNamespace, s.idKey, id)
		h.AddName(s.idHeader, id)
	}
	if s.headers != nil {
		s.headers.Apply(h, &c)
	}
}

// newID is a random UUID (RFC 9562 version 4).
func newID() string {
	a, b := rand.Uint64(), rand.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&(1<<48-1))
}

// failed ends an attempt whose request was sent.
func (t *tunnel) failed(why string) {
	t.release()
	t.p.attemptFailed(pool.RemoteConnectionFailure, why, t.p.host)
}

// ResponseHeaders implements http.ResponseDecoder.
func (t *tunnel) ResponseHeaders() *http.HeaderMap { t.response.Reset(); return &t.response }

// ResponseTrailers implements http.ResponseDecoder.
func (t *tunnel) ResponseTrailers() *http.HeaderMap { return &t.trailers }

// Decode1xxHeaders implements http.ResponseDecoder.
func (t *tunnel) Decode1xxHeaders() {}

// DecodeHeaders implements http.ResponseDecoder.
func (t *tunnel) DecodeHeaders(end bool) {
	p, status := t.p, t.response.Get(http.Status)
	if p.s.tunnel.keepHead {
		p.propagate(responseHeaders, &t.response)
	}
	switch {
	case status == "" || status[0] != '2':
		t.failed("tunnel_response:" + status)
	case end:
		t.failed("")
	default:
		t.stands = true
		p.host.Monitor().Connected(p.down.Loop().Worker, false)
		p.established(t, t.conn)
		p.flow()
	}
}

// propagate puts header lines into the connection's filter state.
func (p *proxy) propagate(key string, h *http.HeaderMap) {
	lines := []any{}
	for l := range h.All {
		lines = append(lines, map[string]any{"key": string([]byte(l.Name)), "value": string([]byte(l.Value))})
	}
	p.down.EnsureInfo().SetFilterState(key, map[string]any{"headers": lines})
}

// DecodeData implements http.StreamDecoder.
func (t *tunnel) DecodeData(b *network.Buffer, end bool) {
	t.received = t.received || end
	if t.enc == nil || !t.stands {
		return
	}
	t.p.down.Write(b, end)
	t.p.active()
	t.ended()
}

// DecodeTrailers implements http.StreamDecoder.
func (t *tunnel) DecodeTrailers(trailers *http.HeaderMap) {
	if t.p.s.tunnel.keepTrail {
		t.p.propagate(responseTrailers, trailers)
	}
	t.received = true
	if t.enc == nil || !t.stands {
		return
	}
	t.p.down.EndWrite()
	t.p.active()
	t.ended()
}

// ended lets go of a request that has ended both ways.
func (t *tunnel) ended() {
	if t.sent && t.received {
		t.release()
	}
}

// Write implements upstream.
func (t *tunnel) Write(b *network.Buffer, end bool) {
	if t.enc == nil || t.sent {
		b.Reset()
		return
	}
	t.sent = end
	t.enc.EncodeData(b, end)
	t.ended()
}

// ReadDisable implements upstream.
func (t *tunnel) ReadDisable(off bool) {
	if t.enc != nil {
		t.enc.ReadDisable(off)
	}
}

// Close implements upstream.
func (t *tunnel) Close(network.CloseType) { t.release() }

// OnResetStream implements http.StreamCallbacks.
func (t *tunnel) OnResetStream(reason http.ResetReason, why string) {
	if t.enc == nil {
		return
	}
	t.enc = nil
	if !t.stands {
		t.p.attemptFailed(pool.RemoteConnectionFailure, why, t.p.host)
		return
	}
	t.p.failure = why
	t.p.down.Close(network.FlushWrite)
}

// OnAboveWriteBufferHighWatermark implements http.StreamCallbacks.
func (t *tunnel) OnAboveWriteBufferHighWatermark() { t.p.upstreamFull() }

// OnBelowWriteBufferLowWatermark implements http.StreamCallbacks.
func (t *tunnel) OnBelowWriteBufferLowWatermark() { t.p.upstreamDrained() }

var (
	_ upstream             = (*tunnel)(nil)
	_ pool.StreamCallbacks = (*tunnel)(nil)
	_ http.ResponseDecoder = (*tunnel)(nil)
	_ http.StreamCallbacks = (*tunnel)(nil)
	_ pool.Cancellable     = (*tunnel)(nil)
)
