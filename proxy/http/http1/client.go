package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// client is an upstream connection's codec.
type client struct {
	enc       encoder
	in        bodyReader
	rx        meter
	cb        http.ClientCallbacks
	dec       http.ResponseDecoder // of the stream under way, else nil
	callbacks http.StreamCallbacks // its, may be nil
	details   string

	phase   phase
	interim uint8 // 1xx responses to this request
	readOff uint8 // the stream's ReadDisable calls
	http10  bool  // the response is HTTP/1.0
	isHead  bool  // the request is HEAD
	connect bool  // is CONNECT
	upgrade bool  // asks for an upgrade
	sent    bool  // is written whole
	tunnel  bool  // has become a tunnel
	closing bool  // the connection carries no further request
}

// CutOffCallbacks is an http.ClientCallbacks that wants to hear, before
// OnStreamEnd, when a stream ends before its response: the connection is about
// to close for it.
type CutOffCallbacks interface{ OnCutOff() }

// NewClient makes the codec of an upstream connection. The settings must not
// change afterwards.
func NewClient(conn *network.Connection, cb http.ClientCallbacks, set *Settings) http.ClientConnection {
	c := &client{enc: encoder{conn: conn, set: set}, cb: cb, phase: phaseWait}
	c.in.data.Init(&conn.Loop().Pool)
	return c
}

func (c *client) Protocol() http.ProtocolVersion {
	if c.http10 {
		return http.HTTP10
	}
	return http.HTTP11
}

func (c *client) ShutdownNotice() {}

func (c *client) GoAway() {}

// NewStream starts a request. The connection must have none under way.
func (c *client) NewStream(dec http.ResponseDecoder) http.RequestEncoder {
	if c.dec != nil {
		panic("http1: a second stream on a client connection")
	}
	c.dec, c.callbacks, c.details = dec, nil, ""
	c.enc.framing, c.enc.left = framing{}, 0
	c.enc.sent, c.enc.headSent = 0, 0
	c.rx.restart()
	c.interim, c.sent = 0, false
	c.isHead, c.connect, c.upgrade, c.tunnel, c.http10 = false, false, false, false, false
	if c.phase != phaseDead {
		c.phase = phaseHead
	}
	return requestEncoder{c}
}

// Dispatch implements http.ClientConnection. An empty b tells that the server
// has ended its side: it completes a response that is framed by that, and is a
// protocol error within a body that is not. A stream without a response yet
// stays, to be reset by whoever sees the connection close.
func (c *client) Dispatch(b *network.Buffer) error {
	if b.Len() == 0 {
		if err := c.ended(); err != nil {
			return c.refuse(b, err)
		}
		return nil
	}
	c.rx.begin(b)
	err := c.dispatch(b)
	c.rx.end()
	return err
}

func (c *client) dispatch(b *network.Buffer) error {
	for b.Len() > 0 {
		var more bool
		var err *http.CodecError
		switch c.phase {
		case phaseHead:
			more, err = c.readHead(b)
		case phaseSized:
			more = c.readSized(b)
		case phaseChunked:
			more, err = c.readChunked(b)
		case phaseToClose, phaseTunnel:
			c.in.data.Move(b)
			c.dec.DecodeData(&c.in.data, false)
			c.in.data.Reset()
		case phaseDead:
			b.Reset()
		default:
			err = errUnsolicited
		}
		if err != nil {
			return c.refuse(b, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// ended handles the end of the server's side.
func (c *client) ended() *http.CodecError {
	switch {
	case c.phase == phaseSized || c.phase == phaseChunked:
		return errCutOff
	case c.phase != phaseTunnel && c.phase != phaseToClose:
		return nil
	}
	c.phase = phaseWait
	c.dec.DecodeData(&c.in.data, true)
	if !c.tunnel || c.sent {
		c.streamDone(nil)
	}
	return nil
}

// readSized delivers bytes of a body with a content-length.
func (c *client) readSized(b *network.Buffer) (more bool) {
	data, end := c.in.take(b), c.in.left == 0
	c.enc.conn.AllowSplice(c.in.spliceable())
	if end {
		c.phase = phaseWait
	}
	c.dec.DecodeData(data, end)
	data.Reset()
	if end {
		c.streamDone(b)
	}
	return true
}

// readChunked delivers what has come of a chunked body.
func (c *client) readChunked(b *network.Buffer) (more bool, err *http.CodecError) {
	data := &c.in.data
	n, err := c.in.chunks(b, c.enc.set.maxHead())
	if err != nil {
		return false, err
	}
	if n == 0 {
		if data.Len() > 0 {
			c.dec.DecodeData(data, false)
			data.Reset()
		}
		return c.phase != phaseChunked, nil
	}
	c.in.scanned = 0
	var t *http.HeaderMap
	if n == emptyLine {
		b.Drain(n)
	} else {
		t = c.dec.ResponseTrailers()
		if err := readTrailers(b, n, t, c.enc.set); err != nil {
			return false, err
		}
	}
	trailers := t != nil && t.Len() > 0
	if !trailers {
		c.phase = phaseWait
	}
	if !trailers || data.Len() > 0 {
		c.dec.DecodeData(data, !trailers)
		data.Reset()
	}
	if trailers && c.phase == phaseChunked {
		c.phase = phaseWait
		c.dec.DecodeTrailers(t)
	}
	c.streamDone(b)
	return true, nil
}

// streamDone ends the stream whose response has been delivered, unless it was
// reset meanwhile. rest is what came behind the response; nil: nothing.
func (c *client) streamDone(rest *network.Buffer) {
	if c.dec == nil {
		return
	}
	reusable := c.sent && !c.closing && (rest == nil || rest.Len() == 0) && c.enc.conn.Open()
	c.detach()
	c.phase = phaseWait
	if !reusable {
		c.phase = phaseDead
	}
	c.cb.OnStreamEnd(reusable)
}

// detach lets go of the stream.
func (c *client) detach() {
	c.dec, c.callbacks = nil, nil
	for ; c.readOff > 0; c.readOff-- {
		c.enc.conn.ReadDisable(false)
	}
}

// refuse resets the stream whose response is malformed. The caller closes the
// connection.
func (c *client) refuse(b *network.Buffer, e *http.CodecError) error {
	c.in.data.Reset()
	c.details = e.Details
	c.reset(http.ProtocolError)
	b.Reset()
	return &http.CodecError{Details: e.Details, Msg: e.Msg}
}

// reset ends the stream under way, if any, and the connection.
func (c *client) reset(reason http.ResetReason) {
	c.phase, c.closing = phaseDead, true
	if c.dec != nil {
		cb := c.callbacks
		c.detach()
		if cb != nil {
			cb.OnResetStream(reason, c.enc.conn.FailureReason())
		}
		if x, ok := c.cb.(CutOffCallbacks); ok {
			x.OnCutOff()
		}
		c.cb.OnStreamEnd(false)
	}
	c.enc.conn.Close(network.NoFlush)
}

func (c *client) OnAboveWriteBufferHighWatermark() {
	if c.callbacks != nil {
		c.callbacks.OnAboveWriteBufferHighWatermark()
	}
}

func (c *client) OnBelowWriteBufferLowWatermark() {
	if c.callbacks != nil {
		c.callbacks.OnBelowWriteBufferLowWatermark()
	}
}
