package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// stream is one request and its response on a connection.
type stream struct {
	streamState
	in  network.Buffer // received, but not taken by the reader
	out network.Buffer // given to be sent, but waiting for a window

	// timer ends a stream that lingers, or whose peer takes nothing of it.
	timer event.Timer

	next, prev *stream // in the connection's waitList; next alone in the free list
}

// streamState is what is zero when a stream begins.
type streamState struct {
	c     *conn
	id    uint32
	cb    http.StreamCallbacks // may be nil
	dec   http.StreamDecoder   // nil: what comes is dropped
	req   http.RequestDecoder  // dec on a server
	res   http.ResponseDecoder // dec on a client
	begun time.Duration
	flush time.Duration // the stream's own flush timeout; 0: the settings'
	stuck time.Duration // since when its peer has taken nothing of the end

	wire       http.Bytes
	sendWindow int32 // may be negative: RFC 9113 section 6.9.2
	recvWindow int32 // what the peer may still send
	unacked    int32 // taken by the reader, not yet given back to the peer

	bodyLeft int64 // due to the content-length received; below 0: not known

	headIn     *http.HeaderMap // the reader's, of a response
	trailersIn *http.HeaderMap // the reader's
	trailers   *http.HeaderMap // copied: to be sent behind out
	upgrade    string          // the protocol of an extended CONNECT that is shown as an upgrade
	details    string

	readOff uint8
	interim uint8 // 1xx responses received

	held       bool // data waits in out, or the end
	listed     bool // in the connection's waitList
	headersIn  bool // the message's head has come
	headersOut bool // and has gone out
	recvEnd    bool // END_STREAM was received
	inEnd      bool // it has not been told to the reader yet
	inTrailers bool // with trailers
	outEnd     bool // END_STREAM goes behind out
	sentEnd    bool // END_STREAM was sent
	closed     bool
	lingering  bool // the response is complete, the user gone, the request still coming
	aboveHigh  bool
	noBody     bool // the response to HEAD: its content-length promises nothing
	connect    bool // the request is CONNECT
}

// streamPool keeps a worker's streams for reuse.
type streamPool struct {
	free  *stream
	nfree int
	maps  []*http.HeaderMap // for trailers that wait
	trash http.HeaderMap    // for those that nobody reads

	scratch []byte   // for encoding header blocks
	cookies []string // of the header section that is being read
	dropped []byte   // where literals go that nobody wants
}

// drop is n bytes of memory until the next call or two.
func (p *streamPool) drop(n int) []byte {
	if 2*n > len(p.dropped) {
		p.dropped = make([]byte, max(4<<10, 2*n))
	}
	out := p.dropped[:n]
	p.dropped = p.dropped[n:]
	return out
}

const maxFreeStreams = 1024

func (c *conn) newStream(id uint32) *stream {
	p := &c.set.pool
	s := p.free
	if s == nil {
		s = &stream{}
		s.in.Init(&c.nc.Loop().Pool)
		s.out.Init(&c.nc.Loop().Pool)
		c.nc.Loop().InitTimer(&s.timer, s.onTimer)
	} else {
		p.free, s.next = s.next, nil
		p.nfree--
	}
	s.streamState = streamState{
		c: c, id: id, begun: c.nc.Loop().Now(),
		sendWindow: c.peerWindow, recvWindow: int32(c.set.StreamWindow), bodyLeft: -1,
	}
	if c.streams == nil {
		c.streams = make(map[uint32]*stream)
	}
	c.streams[id] = s
	c.flood.opened++
	gauge(c.set.Counters.StreamsActive, 1)
	return s
}

// remove takes the stream out of its connection. Its user has been told, or
// knows.
func (s *stream) remove() {
	if s.closed {
		return
	}
	s.closed = true
	c := s.c
	delete(c.streams, s.id)
	gauge(c.set.Counters.StreamsActive, -1)
	c.waiting.remove(s)
	s.timer.Release()
	if c.block.s == s {
		c.block.s, c.block.h = nil, nil
	}
	if c.reading == s {
		c.reading = nil
	}
	// Data that nobody will read is credited to the connection all the same.
	c.consumed(s.in.Len())
	s.in.Reset()
	gauge(c.set.Counters.PendingSendBytes, -s.out.Len())
	s.out.Reset()
	if s.trailers != nil {
		c.set.pool.putMap(s.trailers)
		s.trailers = nil
	}
	s.cb, s.dec, s.req, s.res = nil, nil, nil, nil
	c.nc.Loop().DeferDelete(s)
	c.role.removed(s)
}

// DeferredDelete implements event.Deleter: nobody can hold the stream any
// more.
func (s *stream) DeferredDelete() {
	p := &s.c.set.pool
	s.streamState = streamState{}
	if p.nfree < maxFreeStreams {
		s.next, p.free = p.free, s
		p.nfree++
	}
}

func (p *streamPool) takeMap() *http.HeaderMap {
	if n := len(p.maps); n > 0 {
		m := p.maps[n-1]
		p.maps = p.maps[:n-1]
		return m
	}
	return &http.HeaderMap{}
}

func (p *streamPool) putMap(m *http.HeaderMap) {
	m.Reset()
	if len(p.maps) < 64 {
		p.maps = append(p.maps, m)
	}
}

// finishIfDone removes a stream that has ended both ways.
func (s *stream) finishIfDone() {
	if !s.closed && s.sentEnd && s.recvEnd && !s.inEnd {
		s.c.role.finished(s)
		s.remove()
	}
}

// abort ends the stream by RST_STREAM and tells its user why.
func (s *stream) abort(code http2.ErrCode, reason http.ResetReason) {
	if s.closed {
		return
	}
	s.c.resetStream(s.id, code)
	s.tell(reason)
}

// tell removes the stream and tells its user that it was reset.
func (s *stream) tell(reason http.ResetReason) {
	c, cb := s.c, s.cb
	c.role.reset(reason)
	s.remove()
	if cb != nil {
		cb.OnResetStream(reason, c.nc.FailureReason())
	}
}

// SetCallbacks implements http.Stream.
func (s *stream) SetCallbacks(cb http.StreamCallbacks) {
	if !s.closed {
		s.cb = cb
	}
}

// Details implements http.Stream.
func (s *stream) Details() string { return s.details }

// Bytes implements http.Metered. As Envoy does it counts frames of the stream
// that carry the messages; header blocks are those of trailers, too.
func (s *stream) Bytes() http.Bytes { return s.wire }

// BufferLimit implements http.Stream.
func (s *stream) BufferLimit() uint32 {
	if s.c == nil {
		return 0
	}
	return s.c.set.StreamWindow
}

// StreamErrorOnInvalidMessage implements http.ResponseEncoder.
func (s *stream) StreamErrorOnInvalidMessage() bool { return s.c.set.StreamErrors }

// ResetStream implements http.Stream. A server whose response is complete
// waits a little for the end of the request.
func (s *stream) ResetStream(reason http.ResetReason) {
	if s.closed || s.c == nil {
		return
	}
	if s.outEnd && s.req != nil && reason == http.LocalReset {
		s.linger()
		return
	}
	c, cb := s.c, s.cb
	c.resetStream(s.id, errorCode(reason))
	c.role.reset(reason)
	s.remove()
	if cb != nil {
		cb.OnResetStream(reason, "")
	}
}

// lingerTime is how long the rest of a request that nobody wants is awaited
// once its response is sent: clients are known to lose a response behind which
// RST_STREAM comes at once.
const lingerTime = 50 * time.Millisecond

// linger lets go of a stream's user while its response is on the way or the
// rest of its request is.
func (s *stream) linger() {
	s.lingering = true
	s.cb, s.dec, s.req = nil, nil, nil
	s.c.consumed(s.in.Len())
	s.in.Reset()
	s.readOff = 0
	if s.sentEnd {
		s.timer.Enable(lingerTime)
	}
}

// onTimer ends a stream that has lingered, or whose peer has taken nothing of
// its end for its flush timeout.
func (s *stream) onTimer() {
	if s.closed || s.c == nil {
		return
	}
	if s.sentEnd {
		s.c.resetStream(s.id, http2.ErrCodeNo)
		s.remove()
		return
	}
	if s.c.set.ReduceFlush != nil && s.armFlush() {
		return
	}
	count(s.c.set.Counters.TxFlushTimeout)
	s.abort(http2.ErrCodeInternal, http.LocalReset)
}

// SetFlushTimeout implements http.FlushTimed.
func (s *stream) SetFlushTimeout(d time.Duration) {
	if s.flush = d; d == 0 {
		s.flush = -1
	}
}

// awaitFlush starts or renews the time that the peer has for the rest of a
// message.
func (s *stream) awaitFlush() {
	if s.flushTimeout() > 0 && s.outEnd && !s.sentEnd {
		s.stuck = s.c.nc.Loop().Now()
		if !s.armFlush() {
			s.timer.Enable(0)
		}
	}
}

// armFlush waits for what is left of that time. It returns false when there is
// none.
func (s *stream) armFlush() bool {
	full := s.flushTimeout()
	wait, again := full, full
	if f := s.c.set.ReduceFlush; f != nil {
		wait, again = f(full)
	}
	left := s.stuck + wait - s.c.nc.Loop().Now()
	if left <= 0 {
		return false
	}
	s.timer.Enable(min(left, again))
	return true
}

func (s *stream) flushTimeout() time.Duration {
	if s.flush != 0 {
		return s.flush
	}
	return s.c.set.FlushTimeout
}

// ReadDisable implements http.Stream.
func (s *stream) ReadDisable(off bool) {
	if s.closed || s.c == nil {
		return
	}
	if off {
		s.readOff++
		return
	}
	if s.readOff > 0 {
		s.readOff--
	}
	if s.readOff == 0 && (s.in.Len() > 0 || s.inEnd) {
		s.c.resumeLater()
	}
}
