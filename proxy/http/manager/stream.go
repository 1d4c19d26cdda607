package manager

import (
	"cmp"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/filterchain"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
)

// stream is one request and its response. It is recycled: what must start
// anew is in streamState and info.
type stream struct {
	streamState
	filterchain.Chain

	cfg *Config
	w   *worker

	request          http.HeaderMap
	requestTrailers  http.HeaderMap
	response         http.HeaderMap
	responseTrailers http.HeaderMap
	info             streaminfo.Info

	watermarks []http.DownstreamWatermarks

	idle    overload.Timer // stream_idle_timeout
	headers event.Timer    // request_headers_timeout
	whole   event.Timer    // request_timeout
	maxLife event.Timer    // max_stream_duration

	periodic   event.Timer     // of the access log
	redirected *network.Buffer // the body of a request that starts anew

	context formatter.Context
	scratch [32]byte
}

// streamState is what is zero when a stream begins.
type streamState struct {
	m          *ConnManager
	enc        http.ResponseEncoder
	next, prev *stream
	id         uint64
	random     uint64 // chooses among weighted clusters

	route       http.Route
	upgrade     string
	idleTimeout time.Duration

	span      *tracing.Span // nil when there is none
	decorated string        // the operation's name, to be passed on

	readDisabled int // how often reading of the request was paused

	routeKnown      bool
	gotHeaders      bool
	headersWritten  bool // the response's head has gone to the codec
	localComplete   bool // the response is encoded whole
	connectionClose bool // the client asked to close
	internal        bool // the request comes from inside
	grpc            bool // the request is gRPC, as it came
	garbled         bool // the codec refuses the request
	rejected        bool // its head does, before there is a route
}

// start takes the stream into use for a request that begins.
func (s *stream) start(m *ConnManager, enc http.ResponseEncoder) {
	s.m, s.enc = m, enc
	s.w.nextID++
	s.id = s.w.nextID
	s.random = s.w.rand.Uint64()
	s.SetBufferLimit(enc.BufferLimit())
	s.idleTimeout = s.cfg.streamIdleTimeout
	enc.SetCallbacks(s)
	s.startInfo()
	if s.idleTimeout > 0 {
		s.idle.Enable(s.idleTimeout)
	}
	if s.cfg.headersTimeout > 0 {
		s.headers.Enable(s.cfg.headersTimeout)
	}
	if s.cfg.requestTimeout > 0 {
		s.whole.Enable(s.cfg.requestTimeout)
	}
	if s.cfg.maxStreamDuration > 0 {
		s.maxLife.Enable(s.cfg.maxStreamDuration)
	}
}

// startInfo puts in what is known when a request begins, and counts it.
func (s *stream) startInfo() {
	i, m := &s.info, s.m
	loop := m.conn.Loop()
	i.Conn, i.Start, i.Begin = m.conn, loop.Time(), loop.Now()
	i.Listener, i.FilterChain = s.cfg.listener, s.cfg.chain
	i.Node, i.Direction = s.cfg.node, s.cfg.direction
	i.ListenerMetadata, i.FilterChainMetadata = s.cfg.listenerMetadata, s.cfg.chainMetadata
	i.Protocol = m.protocol.String() // as far as it is known before the head
	i.DownstreamLocal = m.conn.LocalAddress()
	i.DownstreamDirectLocal = i.DownstreamLocal
	i.DownstreamRemote = m.conn.RemoteAddress()
	i.DownstreamDirectRemote = i.DownstreamRemote
	if ci := m.conn.Info; ci != nil {
		i.RequestedServerName, i.JA3, i.JA4 = ci.ServerName, ci.JA3, ci.JA4
		if ci.DirectRemote.IsSet() {
			i.DownstreamDirectRemote = ci.DirectRemote
		}
		if ci.DirectLocal.IsSet() {
			i.DownstreamDirectLocal = ci.DirectLocal
		}
		i.FilterState = ci.FilterState
	}
	st := s.w.stats
	st.DownstreamRqTotal.Inc()
	st.rqProtocol(m.protocol)
	st.DownstreamRqActive.Inc()
}

// RequestHeaders implements http.RequestDecoder and http.FilterCallbacks.
func (s *stream) RequestHeaders() *http.HeaderMap { return &s.request }

// RequestTrailers implements http.RequestDecoder.
func (s *stream) RequestTrailers() *http.HeaderMap { return &s.requestTrailers }

// Touch implements filterchain.Stream: the stream is not idle.
func (s *stream) Touch() {
	if s.idleTimeout > 0 && !s.Ended {
		s.idle.Enable(s.idleTimeout)
	}
}

// DecodeHeaders implements http.RequestDecoder.
func (s *stream) DecodeHeaders(end bool) {
	s.headers.Disable()
	s.gotHeaders = true
	s.grpc = http.IsGRPC(&s.request)
	s.info.HeaderBytesReceived = fieldBytes(&s.request)
	s.Touch()
	if end {
		s.completeRemote()
	}
	if !s.prepareRequest(end) || s.Ended {
		return
	}
	s.DecodeHead(end)
}

// DecodeData implements http.StreamDecoder.
func (s *stream) DecodeData(b *network.Buffer, end bool) {
	s.info.BytesReceived += uint64(b.Len())
	s.Touch()
	if end {
		s.completeRemote()
	}
	if s.Over() {
		b.Reset() // the answer is on its way
		return
	}
	s.DecodeBody(b, end)
}

// DecodeTrailers implements http.StreamDecoder.
func (s *stream) DecodeTrailers(*http.HeaderMap) {
	s.Touch()
	s.completeRemote()
	s.GotTrailers = true
	if s.Over() {
		return
	}
	s.DecodeTail()
}

func (s *stream) completeRemote() {
	s.RequestWhole = true
	s.info.LastDownstreamRxByte = s.m.conn.Loop().Now()
	s.whole.Disable()
	if s.localComplete {
		s.finish()
	}
}

// protocolError notes that the client broke the rules of the protocol, by this
// stream or as otherwise tells.
func (s *stream) protocolError(otherwise string) {
	s.info.SetFlag(streaminfo.DownstreamProtocolError)
	if d := cmp.Or(s.enc.Details(), otherwise); d != "" {
		s.info.ResponseCodeDetails = d
	}
}

// OnResetStream implements http.StreamCallbacks: the codec or the connection
// ends the stream.
func (s *stream) OnResetStream(reason http.ResetReason, failure string) {
	if s.Ended {
		return
	}
	st := s.w.stats
	st.DownstreamRqRxReset.Inc()
	if d := s.enc.Details(); d != "" {
		s.info.ResponseCodeDetails = d
	}
	switch reason {
	case http.ConnectionTermination:
		s.info.SetFlag(streaminfo.DownstreamConnectionTermination)
		s.info.ResponseCodeDetails = s.m.disconnected(failure)
	case http.ProtocolError:
		s.info.SetFlag(streaminfo.DownstreamProtocolError)
	case http.RemoteReset, http.RemoteRefusedStreamReset:
		s.info.SetFlag(streaminfo.DownstreamRemoteReset)
	}
	s.destroy()
}

// endStream is called when the response is encoded whole.
func (s *stream) endStream() {
	s.localComplete = true
	now := s.m.conn.Loop().Now()
	s.info.LastDownstreamTxByte = now
	if s.RequestWhole {
		s.finish()
		return
	}
	// The client still sends what nobody wants. HTTP/2 can end the one
	// stream, HTTP/1 only the connection.
	m := s.m
	if m.protocol < http.HTTP2 {
		m.drain = closing
	}
	enc := s.enc
	s.w.stats.DownstreamRqRxReset.Inc()
	s.destroy()
	enc.ResetStream(http.LocalReset)
	m.maybeClose(false)
}

func (s *stream) finish() {
	if s.Ended {
		return
	}
	m, shut := s.m, s.connectionClose && !s.rejected
	s.destroy()
	m.maybeClose(shut)
}

// destroy ends the stream: filters are told, it is logged and, at the end of
// the turn, recycled.
func (s *stream) destroy() {
	if s.Ended {
		return
	}
	s.Ended = true
	s.info.End = s.w.loop.Now()
	s.idle.Disable()
	s.headers.Disable()
	s.whole.Disable()
	s.maxLife.Disable()
	s.periodic.Disable()
	if s.upgrade != "" {
		s.w.stats.DownstreamCxUpgradesActive.Dec()
	}
	s.Destroy()
	if !s.gotHeaders {
		s.request.Reset() // a head that is not whole is not told
	}
	s.enc.SetCallbacks(nil)
	for ; s.readDisabled > 0; s.readDisabled-- {
		s.enc.ReadDisable(false)
	}
	s.endInfo()
	s.m.unlink(s)
	s.m.conn.Loop().DeferDelete(s)
}

// DeferredDelete implements event.Deleter.
func (s *stream) DeferredDelete() {
	m := s.m
	s.w.putStream(s)
	if m.streams == nil {
		m.releaseCodec()
	}
}

// endInfo logs and counts a request that has ended.
func (s *stream) endInfo() {
	s.finishTrace()
	s.logAccess(streaminfo.LogDownstreamEnd)
	if s.info.HealthCheck {
		s.cfg.groups.tracing.For(s.w.index).HealthCheck.Inc()
	}
	st := s.w.stats
	st.DownstreamRqActive.Dec()
	st.DownstreamRqTime.Record(uint64((s.info.End - s.info.Begin) / time.Millisecond))
}

// formatContext is what header formats, local reply bodies and access logs
// are evaluated against.
func (s *stream) formatContext() *formatter.Context {
	c, loop := &s.context, s.m.conn.Loop()
	c.Info, c.RequestHeaders, c.Now, c.Time = &s.info, &s.request, loop.Now(), loop.Time()
	c.ResponseHeaders, c.ResponseTrailers = nil, nil
	if s.ResponseStarted {
		c.ResponseHeaders = &s.response
	}
	if s.HasRespTrailers {
		c.ResponseTrailers = &s.responseTrailers
	}
	return c
}

// OnAboveWriteBufferHighWatermark implements http.StreamCallbacks: the client
// does not take the response.
func (s *stream) OnAboveWriteBufferHighWatermark() {
	for _, w := range s.watermarks {
		w.OnDownstreamAboveHighWatermark()
	}
}

// OnBelowWriteBufferLowWatermark implements http.StreamCallbacks.
func (s *stream) OnBelowWriteBufferLowWatermark() {
	for _, w := range s.watermarks {
		w.OnDownstreamBelowLowWatermark()
	}
}

var (
	_ http.RequestDecoder  = (*stream)(nil)
	_ http.StreamCallbacks = (*stream)(nil)
	_ filterchain.Stream   = (*stream)(nil)
)
