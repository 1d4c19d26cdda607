package manager

import (
	"errors"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

type drainState uint8

const (
	notDraining drainState = iota
	draining               // GOAWAY is announced, streams may still come
	closing                // closes when the last stream ends
)

// ConnManager is one downstream connection's HTTP side.
type ConnManager struct {
	w       *worker
	conn    *network.Connection
	codec   http.ServerConnection // nil while the connection is idle
	streams *stream               // the live ones, newest first

	// Between requests the connection waits in its worker's list, in the
	// order in which idle_timeout comes.
	idleNext, idlePrev *ConnManager
	idleSince          time.Duration
	parked             bool

	xfcc     string               // what x-forwarded-client-cert says of the client, once asked for,
	xfccOf   *xfccPolicy          // by this policy
	protocol http.ProtocolVersion // 0 before the first byte
	drain    drainState
	// askedToDrain: OnDrain was called before the first request came.
	askedToDrain bool
	closedHere   bool   // this side has closed the connection
	requests     uint32 // streams begun, for max_requests_per_connection
	// life ends the connection at max_connection_duration, and the drain
	// that follows it; nil without one.
	life *event.Timer
}

// newConnManager makes the filter of a new connection, which counts even if a
// filter before this one closes it.
func newConnManager(w *worker, cb *network.ReadCallbacks) *ConnManager {
	m := &ConnManager{w: w, conn: cb.Connection()}
	m.conn.AddCallbacks(m)
	m.conn.SetCounters(&w.bytes)
	w.stats.DownstreamCxTotal.Inc()
	w.stats.DownstreamCxActive.Inc()
	if m.conn.Transport() != nil { // the only ones are TLS
		w.stats.DownstreamCxSslTotal.Inc()
		w.stats.DownstreamCxSslActive.Inc()
	}
	return m
}

// OnNewConnection implements network.ReadFilter.
func (m *ConnManager) OnNewConnection() network.FilterStatus {
	m.conn.HoldInput()
	m.w.park(m)
	if d := m.w.cfg.maxConnDuration; d > 0 {
		t := &overload.Timer{}
		t.Init(m.conn.Loop().Dispatcher, m.w.cfg.overload, overload.ConnectionMax, m.onMaxDuration)
		t.Enable(m.w.jittered(d, m.w.cfg.durationJitter))
		m.life = &t.Timer
	}
	m.conn.SetDelayedClose(m.w.cfg.closeDelay)
	return network.Continue
}

// OnData implements network.ReadFilter.
func (m *ConnManager) OnData(b *network.Buffer, end bool) network.FilterStatus {
	if m.codec == nil && (m.shedFirst(b) || !m.chooseCodec(b)) || m.shedBytes(b) {
		return network.StopIteration
	}
	for m.conn.Open() {
		before := b.Len()
		if err := m.codec.Dispatch(b); err != nil {
			m.codecFailed(err)
			return network.StopIteration
		}
		// A codec of one stream at a time leaves what belongs to the next.
		if b.Len() == 0 || b.Len() == before || m.protocol >= http.HTTP2 || m.streams != nil {
			break
		}
	}
	m.maybeClose(false)
	return network.StopIteration
}

func (m *ConnManager) codecFailed(err error) {
	var ce *http.CodecError
	if errors.As(err, &ce) && ce.Load {
		m.w.stats.DownstreamRqOverloadClose.Inc()
	} else {
		m.w.stats.DownstreamCxProtocolError.Inc()
	}
	others := ""
	if ce != nil {
		others = ce.Others
		m.w.cfg.log.Debug("bad request", "connection", m.conn.ID(), "peer", m.conn.RemoteAddress().String(), "error", ce.Msg, "details", ce.Details)
	}
	for s := m.streams; s != nil; s = s.next {
		s.protocolError(others)
	}
	m.drain = closing
	m.countActive(network.LocalClose)
	m.resetStreams(http.LocalReset, "")
	m.close(network.FlushWriteAndDelay) // what was answered goes out first
}

// close closes the connection, whose timers mean nothing any more.
func (m *ConnManager) close(how network.CloseType) {
	m.stopTimers()
	m.conn.Close(how)
}

func (m *ConnManager) stopTimers() {
	m.w.unpark(m)
	if m.life != nil {
		m.life.Release()
		m.life = nil
	}
}

// NewStream implements http.ServerCallbacks.
func (m *ConnManager) NewStream(enc http.ResponseEncoder) http.RequestDecoder {
	m.w.unpark(m)
	s := m.w.getStream()
	s.start(m, enc)
	m.requests++
	if limit := m.w.cfg.maxRequestsPerConnection; limit > 0 && m.requests >= limit {
		m.w.stats.DownstreamCxMaxRequestsReached.Inc() // by each further one, too
		switch {
		case m.protocol < http.HTTP2:
			m.drain = closing
		case m.drain == notDraining:
			m.startDrain()
		}
	}
	s.next = m.streams
	if s.next != nil {
		s.next.prev = s
	}
	m.streams = s
	return s
}

// OnGoAway implements http.ServerCallbacks. Clients' GOAWAYs need nothing.
func (m *ConnManager) OnGoAway(uint32) {}

func (m *ConnManager) unlink(s *stream) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		m.streams = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
	if m.streams == nil && m.conn.Open() {
		m.w.park(m)
	}
}

// startDrain announces the end of the connection to its peer: by GOAWAY, or
// in HTTP/1 by the next response. drain_timeout later no further stream may
// start.
func (m *ConnManager) startDrain() {
	m.drain = draining
	if m.codec != nil {
		m.codec.ShutdownNotice()
	}
	if m.life != nil {
		m.life.Release()
	}
	m.life = m.conn.Loop().NewTimer(m.onDrainTimeout)
	m.life.Enable(m.w.jittered(m.w.cfg.drainTimeout, m.w.cfg.drainJitter))
}

func (m *ConnManager) onDrainTimeout() {
	if m.codec != nil {
		m.codec.GoAway()
	}
	m.drain = closing
	m.maybeClose(false)
}

// OnDrain implements network.Drainer: the proxy is about to end. A connection
// of HTTP/1 that carries nothing is closed at once, for nothing could be
// announced on it; but one whose first request is still to come, only when
// asked again, and not one whose next request has come already: that is
// answered first.
func (m *ConnManager) OnDrain() {
	if m.drain != notDraining {
		return
	}
	if m.requests == 0 && !m.askedToDrain {
		m.askedToDrain = true
		return
	}
	m.w.stats.DownstreamCxDrainClose.Inc()
	if m.protocol >= http.HTTP2 {
		m.startDrain()
		return
	}
	m.drain = closing
	if m.streams == nil && m.conn.Open() && !m.conn.Readable() {
		// The client must know at once, or its next request is lost.
		m.close(network.FlushWriteAndEnd)
	}
}

// OnCodecIdle implements http2.IdleCallbacks.
func (m *ConnManager) OnCodecIdle() { m.maybeClose(false) }

// maybeClose closes a connection that only waited for its last stream.
func (m *ConnManager) maybeClose(skipDelay bool) {
	if m.drain != closing || m.streams != nil || !m.conn.Open() {
		return
	}
	if m.protocol >= http.HTTP2 {
		m.codec.GoAway()
		if c, ok := m.codec.(interface{ Busy() bool }); ok && c.Busy() {
			return // responses wait for the client's window; OnCodecIdle follows
		}
	}
	how := network.FlushWriteAndDelay
	if skipDelay {
		how = network.FlushWrite
	}
	m.close(how)
}

func (m *ConnManager) onIdle() {
	m.w.stats.DownstreamCxIdleTimeout.Inc()
	m.closeOrDrain()
}

func (m *ConnManager) onMaxDuration() {
	m.w.stats.DownstreamCxMaxDurationReached.Inc()
	if m.w.cfg.http1SafeMaxDuration && m.protocol != 0 && m.protocol < http.HTTP2 && m.drain == notDraining {
		// The client learns of it by its next response.
		m.w.stats.DownstreamCxHttp1SoftDrain.Inc()
		m.drain = closing
		return
	}
	m.closeOrDrain()
}

// closeOrDrain ends a connection whose time is over. One that has not been
// used yet is just closed.
func (m *ConnManager) closeOrDrain() {
	if m.protocol == 0 {
		m.conn.Close(network.FlushWrite)
		return
	}
	if m.drain == notDraining {
		m.startDrain()
	}
}

// OnEvent implements network.ConnectionCallbacks.
func (m *ConnManager) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		return
	}
	s := m.w.stats
	s.DownstreamCxDestroy.Inc()
	s.DownstreamCxActive.Dec()
	if m.conn.Transport() != nil {
		s.DownstreamCxSslActive.Dec()
	}
	if ev == network.RemoteClose {
		s.DownstreamCxDestroyRemote.Inc()
	} else {
		s.DownstreamCxDestroyLocal.Inc()
	}
	m.countActive(network.RemoteClose) // whoever closed it, to Envoy
	s.DownstreamCxLengthMs.Record(uint64((m.conn.Loop().Now() - m.conn.Opened()) / time.Millisecond))
	m.stopTimers()
	if m.conn.DelayedCloseTimedOut() {
		s.DownstreamCxDelayedCloseTimeout.Inc()
	}
	m.closedHere = ev == network.LocalClose
	m.resetStreams(http.ConnectionTermination, m.conn.FailureReason())
	if m.protocol != 0 {
		s.cxProtocolEnd(m.protocol)
		if c, ok := m.codec.(interface{ OnConnectionClosed() }); ok {
			c.OnConnectionClosed()
		}
	}
}

// countActive counts a connection that ends while streams are under way.
func (m *ConnManager) countActive(ev network.ConnectionEvent) {
	if m.streams == nil {
		return
	}
	s := m.w.stats
	s.DownstreamCxDestroyActiveRq.Inc()
	if ev == network.RemoteClose {
		s.DownstreamCxDestroyRemoteActiveRq.Inc()
	} else {
		s.DownstreamCxDestroyLocalActiveRq.Inc()
	}
}

// disconnected is the response code detail of streams that end with their
// connection, which failed for a reason or not.
func (m *ConnManager) disconnected(failure string) string {
	switch {
	case m.closedHere && failure != "":
		return "downstream_local_disconnect(" + strings.ReplaceAll(failure, " ", "_") + ")"
	case !m.conn.Open() && failure != "":
		return "downstream_remote_disconnect|" + failure
	}
	return "downstream_remote_disconnect"
}

func (m *ConnManager) resetStreams(reason http.ResetReason, failure string) {
	for m.streams != nil {
		m.streams.OnResetStream(reason, failure)
	}
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (m *ConnManager) OnAboveWriteBufferHighWatermark() {
	if m.codec != nil {
		m.codec.OnAboveWriteBufferHighWatermark()
	}
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (m *ConnManager) OnBelowWriteBufferLowWatermark() {
	if m.codec != nil {
		m.codec.OnBelowWriteBufferLowWatermark()
	}
}

var (
	_ network.ReadFilter          = (*ConnManager)(nil)
	_ network.ConnectionCallbacks = (*ConnManager)(nil)
	_ http.ServerCallbacks        = (*ConnManager)(nil)
)
