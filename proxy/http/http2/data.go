package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// beginData takes the header of a DATA frame, and the length of its padding.
func (c *conn) beginData(b *network.Buffer, f frame) (more bool, err *connError) {
	head, pad := frameHeaderLen, 0
	if f.flags.Has(http2.FlagDataPadded) {
		if head++; f.length == 0 {
			return false, errFrameSize
		}
		if b.Len() < head {
			return false, nil
		}
		if pad = int(b.Linearize(head)[frameHeaderLen]); pad >= f.length {
			return false, errPadding
		}
	}
	if f.stream == 0 {
		return false, errStreamID
	}
	if c.idle(f.stream) {
		return false, errIdleStream
	}
	if int64(f.length) > int64(c.recvWindow) {
		return false, errOverrun
	}
	c.recvWindow -= int32(f.length)
	b.Drain(head)
	overhead := head - frameHeaderLen
	c.frame, c.dataLeft, c.padLeft = f, f.length-overhead-pad, pad
	if overhead+pad > 0 {
		c.consumed(overhead + pad)
	}
	c.flood.payload(c, f.length, f.flags.Has(http2.FlagDataEndStream))
	s := c.streams[f.stream]
	c.reading = s
	switch {
	case s == nil:
		if !c.resets.has(f.stream) {
			c.flood.owe(c)
			c.refuse(f.stream, http2.ErrCodeStreamClosed)
		}
	case s.recvEnd || !s.headersIn:
		c.reading = nil
		c.refuse(f.stream, http2.ErrCodeStreamClosed)
	case int64(f.length) > int64(s.recvWindow):
		c.reading = nil
		c.refuse(f.stream, http2.ErrCodeFlowControl)
	default:
		s.wire.Received += frameHeaderLen + uint64(f.length)
		s.recvWindow -= int32(f.length)
		s.unacked += int32(overhead + pad)
	}
	if c.dataLeft == 0 {
		c.dataDone(&c.data)
	}
	return true, nil
}

// readData takes what has come of a DATA frame's payload.
func (c *conn) readData(b *network.Buffer) *connError {
	if c.dataLeft > 0 {
		n := min(b.Len(), c.dataLeft)
		c.dataLeft -= n
		if c.reading == nil {
			b.Drain(n)
			c.consumed(n)
		} else {
			c.data.MoveN(b, n)
			if c.dataLeft == 0 {
				c.dataDone(&c.data)
			} else {
				c.received(c.reading, &c.data)
			}
		}
	}
	if c.dataLeft == 0 && c.padLeft > 0 {
		n := min(b.Len(), c.padLeft)
		c.padLeft -= n
		b.Drain(n)
	}
	return nil
}

// dataDone is called with the last bytes of a DATA frame.
func (c *conn) dataDone(b *network.Buffer) {
	s := c.reading
	c.reading = nil
	if s == nil || s.closed {
		c.consumed(b.Len())
		b.Reset()
		return
	}
	if c.frame.flags.Has(http2.FlagDataEndStream) {
		s.recvEnd, s.inEnd = true, true
	}
	c.received(s, b)
}

// received checks body bytes against the content-length and passes them on,
// or keeps them while the reader is paused.
func (c *conn) received(s *stream, b *network.Buffer) {
	if s.closed {
		c.consumed(b.Len())
		b.Reset()
		return
	}
	if s.bodyLeft >= 0 {
		if s.bodyLeft -= int64(b.Len()); s.bodyLeft < 0 || s.inEnd && s.bodyLeft > 0 {
			c.badLength(s)
			c.consumed(b.Len())
			b.Reset()
			return
		}
	}
	if s.readOff > 0 || s.in.Len() > 0 {
		s.in.Move(b)
		return
	}
	c.deliver(s, b)
}

// badLength ends a stream whose body is not as long as its content-length.
func (c *conn) badLength(s *stream) {
	c.flood.serverReset(c)
	s.details = detailMessaging
	if s.req != nil {
		s.details = detailRemoteReset // so Envoy calls it
	}
	s.abort(http2.ErrCodeProtocol, http.ProtocolError)
}

// deliver gives b, and the end of the message if it has come, to the reader.
func (c *conn) deliver(s *stream, b *network.Buffer) {
	n, end := b.Len(), s.inEnd && !s.inTrailers
	if end {
		s.inEnd = false
	}
	if s.dec != nil && (n > 0 || end) {
		s.dec.DecodeData(b, end)
	}
	b.Reset()
	c.taken(s, n)
	if s.inTrailers && !s.closed {
		s.inEnd, s.inTrailers = false, false
		if s.dec != nil {
			s.dec.DecodeTrailers(s.trailersIn)
		}
	}
	if s.recvEnd {
		s.finishIfDone()
	}
}
