package async

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// StreamCallbacks is who started a stream.
type StreamCallbacks interface {
	// OnHeaders is the response's head; end tells that there is no more.
	OnHeaders(h *http.HeaderMap, end bool)
	// OnData is given body bytes; what it leaves in b is dropped.
	OnData(b *network.Buffer, end bool)
	OnTrailers(t *http.HeaderMap)
	// OnFailure ends a stream without a (whole) response.
	OnFailure(Failure)
}

// Failure is why a stream has no response, with what Envoy answers for it.
type Failure struct {
	Status int // 503, or 504 when it took too long
	Body   string
	Reason http.ResetReason // ResetNone for no host and for a timeout
	// Details says more, e.g. what the connection died of.
	Details string
}

// Stream is a request of the proxy's own that is sent and answered piece by
// piece.
type Stream struct {
	cluster  *upstream.Cluster
	loop     *network.Loop
	o        Options
	cb       StreamCallbacks
	timer    event.Timer
	request  http.HeaderMap
	response http.HeaderMap
	trailers http.HeaderMap
	wait     network.Buffer // body that waits for a connection
	began    time.Duration  // when the request was sent whole

	host     *cluster.Host
	protocol http.ProtocolVersion // of its connection, once that is there
	pending  pool.Cancellable
	enc      http.RequestEncoder
	ending   *http.HeaderMap // trailers that wait for a connection
	starting bool            // in a call that starts the request
	headEnd  bool            // the request is its head
	waitEnd  bool            // what waits is the request's end
	sentAll  bool
	full     bool // as much waits as may
	answered bool
	done     bool
	bytes    http.Bytes // that went over the wire, once done

	// retries, if set, takes a response to be tried again instead.
	retries func(status int, h *http.HeaderMap) bool

	// OnWritable, if set, is told when the upstream is full (false) and when
	// it has room again (true).
	OnWritable func(bool)
}

// NewStream makes a stream to a cluster; nil when there is no such cluster.
// Fill Headers and call SendHeaders.
func (c Client) NewStream(name string, o Options, cb StreamCallbacks) *Stream {
	cl := c.table.Get(name)
	if cl == nil {
		return nil
	}
	c.table.CountAsync()
	s := &Stream{cluster: cl, loop: c.table.Loop(), o: o, cb: cb}
	s.wait.Init(&s.loop.Pool)
	s.loop.InitTimer(&s.timer, s.onTimeout)
	return s
}

// Headers is the request's head, to be filled before SendHeaders.
func (s *Stream) Headers() *http.HeaderMap { return &s.request }

// NewBuffer makes a buffer for SendData.
func (s *Stream) NewBuffer() *network.Buffer { return s.loop.NewBuffer() }

// Cluster is where the request goes.
func (s *Stream) Cluster() *cluster.Info { return s.cluster.Info() }

// Upstream is the host that the stream goes to, nil before there is one, and
// its protocol.
func (s *Stream) Upstream() (*cluster.Host, http.ProtocolVersion) { return s.host, s.protocol }

// SendHeaders chooses a host and sends the head.
func (s *Stream) SendHeaders(end bool) {
	if !s.o.External {
		s.request.Set(http.XEnvoyInternal, "true")
	}
	if !s.request.Has(http.Scheme) {
		s.request.Set(http.Scheme, "http")
	}
	if s.o.Timeout > 0 {
		s.request.SetInt(http.XEnvoyExpectedRqTimeoutMs, int64(s.o.Timeout/time.Millisecond))
	}
	s.headEnd = end
	if s.host = s.cluster.ChooseHost(balanceContext{s: s}); s.host == nil {
		s.later(Failure{Status: 503, Body: "no healthy upstream"})
		return
	}
	if end {
		s.requestSent()
	}
	s.starting = true
	s.pending = s.cluster.HTTPPool(s.host, s.o.Priority, s.o.Downstream, "").NewStream(s, s)
	s.starting = false
}

// SendData sends body bytes, taking all of b.
func (s *Stream) SendData(b *network.Buffer, end bool) {
	if s.done {
		b.Reset()
		return
	}
	if end {
		s.requestSent()
	}
	if s.enc == nil {
		s.wait.Move(b)
		s.waitEnd = s.waitEnd || end
		if limit := s.cluster.Info().BufferLimit; limit > 0 && s.wait.Len() > int(limit) && !s.full {
			s.full = true
			s.writable(false)
		}
		return
	}
	s.enc.EncodeData(b, end)
}

// SendTrailers ends the request with trailers, which must stay as they are
// until the stream has ended.
func (s *Stream) SendTrailers(t *http.HeaderMap) {
	if s.done {
		return
	}
	s.requestSent()
	if s.enc == nil {
		s.ending = t
		return
	}
	s.enc.EncodeTrailers(t)
}

// Reset gives the stream up: no callback comes any more.
func (s *Stream) Reset() {
	s.cb, s.OnWritable = nil, nil
	if s.done {
		return
	}
	if s.pending != nil {
		s.pending.Cancel()
	}
	s.finish(true)
}

// ReadDisable stops (true) or resumes delivery of the response.
func (s *Stream) ReadDisable(on bool) {
	if s.enc != nil && !s.done {
		s.enc.ReadDisable(on)
	}
}

// Bytes are what has gone over the wire so far.
func (s *Stream) Bytes() http.Bytes {
	if m, ok := s.enc.(http.Metered); ok {
		return m.Bytes()
	}
	return s.bytes
}

// Waiting is how many bytes are kept for want of a connection.
func (s *Stream) Waiting() int { return s.wait.Len() }

func (s *Stream) requestSent() {
	s.sentAll, s.began = true, s.loop.Now()
	if s.o.Timeout > 0 {
		s.timer.Enable(s.o.Timeout)
	}
}

// OnPoolReady implements pool.StreamCallbacks.
func (s *Stream) OnPoolReady(enc http.RequestEncoder, h *cluster.Host, _ *network.Connection, protocol http.ProtocolVersion) {
	s.protocol = protocol
	s.pending, s.enc, s.host = nil, enc, h
	enc.SetCallbacks(s)
	if err := enc.EncodeHeaders(&s.request, s.headEnd); err != nil {
		s.charge(503)
		s.finish(true)
		s.later(Failure{Status: 503, Body: err.Error(), Reason: http.LocalReset})
		return
	}
	if s.full {
		s.full = false
		s.writable(true)
	}
	if !s.done && (s.wait.Len() > 0 || s.waitEnd) {
		enc.EncodeData(&s.wait, s.waitEnd)
	}
	if !s.done && s.ending != nil {
		enc.EncodeTrailers(s.ending)
	}
}

// OnPoolFailure implements pool.StreamCallbacks.
func (s *Stream) OnPoolFailure(reason pool.FailureReason, why string, h *cluster.Host) {
	s.pending = nil
	if h != nil {
		s.host = h
	}
	s.fail(reason.ResetReason(), why)
}

// OnResetStream implements http.StreamCallbacks.
func (s *Stream) OnResetStream(reason http.ResetReason, why string) { s.fail(reason, why) }

func (s *Stream) fail(reason http.ResetReason, why string) {
	if s.done {
		return
	}
	if s.host != nil && reason != http.Overflow {
		s.host.Stats(s.loop.Worker).RqError++
	}
	f := Failure{Status: 503, Reason: reason, Details: why,
		Body: "upstream connect error or disconnect/reset before headers. reset reason: " + reason.String()}
	if !s.answered {
		s.charge(f.Status)
	}
	s.finish(false)
	s.tell(f)
}

func (s *Stream) onTimeout() {
	if s.done {
		return
	}
	s.cluster.Stats().UpstreamRqTimeout.Inc()
	if s.host != nil {
		s.host.Stats(s.loop.Worker).RqTimeout++
	}
	if !s.answered {
		s.charge(504)
	}
	if s.pending != nil {
		s.pending.Cancel()
	}
	s.finish(true)
	s.tell(Failure{Status: 504, Body: "upstream request timeout"})
}

// tell reports a failure, later if the starter has not returned yet.
func (s *Stream) tell(f Failure) {
	if s.starting {
		s.later(f)
		return
	}
	s.deliver(f)
}

func (s *Stream) later(f Failure) { s.done = true; s.loop.Post(func() { s.deliver(f) }) }

func (s *Stream) deliver(f Failure) {
	if cb := s.cb; cb != nil {
		s.cb = nil
		cb.OnFailure(f)
	}
}

// finish lets go of everything but the callbacks of a failure to be told.
func (s *Stream) finish(reset bool) {
	s.done = true
	s.timer.Release()
	s.wait.Reset()
	enc := s.enc
	s.pending, s.enc = nil, nil
	if enc == nil {
		return
	}
	if m, ok := enc.(http.Metered); ok {
		s.bytes = m.Bytes()
	}
	enc.SetCallbacks(nil)
	if reset {
		enc.ResetStream(http.LocalReset)
	}
}

// charge counts a response in the cluster's statistics, as the router does.
func (s *Stream) charge(code int) {
	if s.o.Uncounted {
		return
	}
	canary := s.host != nil && s.host.Canary() || s.response.Get(http.XEnvoyUpstreamCanary) == "true"
	s.cluster.Stats().Charge(code, canary, s.request.Get(http.XEnvoyInternal) == "true")
	s.host.ChargeZone(s.loop.Worker, code)
}

// OnAboveWriteBufferHighWatermark implements http.StreamCallbacks.
func (s *Stream) OnAboveWriteBufferHighWatermark() {
	s.cluster.Stats().UpstreamFlowControlBackedUp.Inc()
	s.writable(false)
}

// OnBelowWriteBufferLowWatermark implements http.StreamCallbacks.
func (s *Stream) OnBelowWriteBufferLowWatermark() {
	s.cluster.Stats().UpstreamFlowControlDrained.Inc()
	s.writable(true)
}

func (s *Stream) writable(on bool) {
	if s.OnWritable != nil && !s.done {
		s.OnWritable(on)
	}
}
