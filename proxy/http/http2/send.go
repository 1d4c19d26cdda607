package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// EncodeData implements http.StreamEncoder.
func (s *stream) EncodeData(b *network.Buffer, end bool) {
	if s.closed || s.outEnd || !s.headersOut {
		b.Reset()
		return
	}
	c := s.c
	s.outEnd = end
	if s.held || !c.maySend() {
		s.hold(b)
		return
	}
	c.sendData(s, b, b.Len())
	if b.Len() > 0 {
		s.hold(b)
	}
}

// EncodeTrailers implements http.StreamEncoder.
func (s *stream) EncodeTrailers(t *http.HeaderMap) {
	if s.closed || s.outEnd || !s.headersOut {
		return
	}
	s.outEnd = true
	if s.held {
		s.trailers = s.c.set.pool.takeMap()
		s.trailers.CopyFrom(t)
		s.awaitFlush()
		return
	}
	s.c.sendTrailers(s, t)
}

// sendTrailers ends the message. Without a single trailer it ends like any
// other.
func (c *conn) sendTrailers(s *stream, t *http.HeaderMap) {
	if t.Len() == 0 {
		c.writeData(s, nil, 0, true)
	} else if !c.writeBlock(s, t, noPseudo, true) {
		s.abort(http2.ErrCodeInternal, http.LocalReset)
		return
	}
	s.sent()
}

// sent is called when END_STREAM has been written.
func (s *stream) sent() {
	s.sentEnd = true
	s.timer.Disable()
	if s.lingering && !s.recvEnd {
		s.timer.Enable(lingerTime)
		return
	}
	s.finishIfDone()
}

// hold keeps data until the peer has room for it.
func (s *stream) hold(b *network.Buffer) {
	n := b.Len()
	gauge(s.c.set.Counters.PendingSendBytes, n)
	if s.out.Len() == 0 && n > 0 && n <= smallHeld {
		s.out.AppendStatic(b.Bytes()) // a copy of its own size
		b.Reset()
	} else {
		s.out.Move(b)
	}
	s.held = true
	s.awaitFlush()
	if s.sendWindow > 0 || s.out.Len() == 0 {
		s.c.waiting.push(s)
	}
	if s.out.Len() > s.highWatermark() {
		s.above()
	}
}

// smallHeld is how many bytes are copied to be held: a peer that opens no
// window must not hold a whole slab for each of its streams.
const smallHeld = 2 << 10

// maySend tells whether the connection's output has room.
func (c *conn) maySend() bool { return !c.nc.AboveHighWatermark() && c.phase != phaseDead }

// sendData writes at most n bytes of b as the windows allow, and END_STREAM
// behind the last of a message that ends.
func (c *conn) sendData(s *stream, b *network.Buffer, n int) {
	if b.Len() == 0 {
		if s.outEnd && s.trailers == nil {
			c.writeData(s, nil, 0, true)
			s.sent()
		}
		return
	}
	n = min(n, b.Len(), max(0, int(s.sendWindow)), max(0, int(c.sendWindow)))
	for n > 0 && !s.closed {
		k := min(n, c.maxFrame)
		end := s.outEnd && k == b.Len() && s.trailers == nil
		s.sendWindow -= int32(k)
		c.sendWindow -= int32(k)
		c.writeData(s, b, k, end)
		n -= k
		if end {
			s.sent()
			return
		}
	}
}

// writeData writes a DATA frame of the first n bytes of b.
func (c *conn) writeData(s *stream, b *network.Buffer, n int, end bool) {
	var head [frameHeaderLen]byte
	var flags http2.Flags
	if end {
		flags = http2.FlagDataEndStream
	}
	putFrame(head[:], n, http2.FrameData, flags, s.id)
	out := c.output()
	waiting := c.nc.OutputLen()
	out.AppendSmall(head[:])
	if n > 0 {
		out.MoveN(b, n)
	}
	c.flood.dataOut++
	c.flood.progress()
	c.queued(http2.FrameData, frameHeaderLen+n, waiting)
	s.wire.Sent += frameHeaderLen + uint64(n)
	c.wrote(out)
}

// quantum is how many bytes one stream sends before others get their turn.
const quantum = 64 << 10

// sendWaiting sends what windows and output now have room for, stream by
// stream in turns.
func (c *conn) sendWaiting() {
	if c.sending {
		return
	}
	c.sending = true
	for idle := 0; c.waiting.first != nil && c.maySend(); {
		s := c.waiting.first
		c.waiting.remove(s)
		before := s.out.Len()
		c.sendHeld(s)
		if !s.closed && !s.sentEnd && s.held && (s.out.Len() == 0 || s.sendWindow > 0) {
			c.waiting.push(s)
		}
		if s.closed || s.sentEnd || s.out.Len() < before {
			idle = 0
		} else if idle++; idle > c.waiting.n {
			break // each has had its turn: the connection's window is empty
		}
	}
	c.sending = false
}

// sendHeld sends what s holds, as far as that goes in one turn.
func (c *conn) sendHeld(s *stream) {
	before := s.out.Len()
	c.sendData(s, &s.out, quantum)
	gauge(c.set.Counters.PendingSendBytes, s.out.Len()-before)
	if s.closed {
		return
	}
	if s.out.Len() > 0 {
		if s.out.Len() < before {
			s.awaitFlush()
		}
		return
	}
	s.held = false
	if t := s.trailers; t != nil && !s.sentEnd {
		s.trailers = nil
		c.sendTrailers(s, t)
		c.set.pool.putMap(t)
	}
	s.belowIfRoom()
}

// waitList are the streams that hold data which their own windows allow to be
// sent, in the order of their turns.
type waitList struct {
	first, last *stream
	n           int
}

func (l *waitList) push(s *stream) {
	if s.listed {
		return
	}
	s.listed, s.prev, s.next = true, l.last, nil
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
	l.n++
}

func (l *waitList) remove(s *stream) {
	if !s.listed {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.listed, s.prev, s.next = false, nil, nil
	l.n--
}
