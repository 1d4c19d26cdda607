package http1

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// phase is what a codec expects next on its connection.
type phase uint8

const (
	phaseHead    phase = iota // a head, or its rest
	phaseSized                // the rest of a body with a content-length
	phaseChunked              // the rest of a chunked body, or its trailers
	phaseToClose              // a body that ends with the connection (responses)
	phaseWait                 // nothing: the request is complete, its response is not
	phaseHold                 // nothing: an upgrade or CONNECT has not been answered
	phaseTunnel               // raw bytes
	phaseDead                 // nothing ever again: what comes is dropped
)

// server is a downstream connection's codec.
type server struct {
	enc       encoder
	in        bodyReader
	rx        meter
	cb        http.ServerCallbacks
	dec       http.RequestDecoder  // of the stream under way, else nil
	callbacks http.StreamCallbacks // its, may be nil
	details   string

	phase       phase
	blank       uint8 // empty lines before the request
	readOff     uint8 // the stream's ReadDisable calls
	dispatching bool  // within Dispatch, which still needs the codec
	paused      bool  // reading is disabled until the response is complete
	flooded     bool  // or until the client has read what is written
	http10      bool
	isHead      bool // the request is HEAD
	connect     bool // is CONNECT
	upgrade     bool // asks for an upgrade
	toClose     bool // the response ends with the connection
	closing     bool // is the connection's last
	started     bool // the response's head is written
	responded   bool // the response is complete
}

// NewServer makes the codec of a downstream connection. The settings must not
// change afterwards.
func NewServer(conn *network.Connection, cb http.ServerCallbacks, set *Settings) http.ServerConnection {
	s := &server{enc: encoder{conn: conn, set: set}, cb: cb}
	s.in.data.Init(&conn.Loop().Pool)
	return s
}

func (s *server) Protocol() http.ProtocolVersion {
	if s.http10 {
		return http.HTTP10
	}
	return http.HTTP11
}

func (s *server) ShutdownNotice() {}

func (s *server) GoAway() {}

// Dispatch implements http.ServerConnection. An empty b tells a tunnel that
// the client has ended its side.
func (s *server) Dispatch(b *network.Buffer) error {
	if b.Len() == 0 {
		if s.phase == phaseTunnel {
			s.phase = phaseWait
			s.dec.DecodeData(b, true)
		}
		return nil
	}
	if s.enc.set.Sheds != nil && s.enc.set.Sheds() {
		return s.refuse(b, &http.CodecError{Status: 500, Body: "Internal Server Error", Details: "overload", Msg: "overloaded", Load: true})
	}
	s.dispatching = true
	s.rx.begin(b)
	err := s.dispatch(b)
	s.rx.end()
	s.dispatching = false
	return err
}

func (s *server) dispatch(b *network.Buffer) error {
	for b.Len() > 0 {
		var more bool
		var err *http.CodecError
		switch s.phase {
		case phaseHead:
			more, err = s.readHead(b)
		case phaseSized:
			more = s.readSized(b)
		case phaseChunked:
			more, err = s.readChunked(b)
		case phaseTunnel:
			s.in.data.Move(b)
			s.dec.DecodeData(&s.in.data, false)
			s.in.data.Reset()
		case phaseDead:
			b.Reset()
		default:
			// The bytes stay where they are until the response is complete.
			if s.closing && s.phase == phaseWait {
				b.Reset()
				return nil
			}
			s.pause()
		}
		if err != nil {
			return s.refuse(b, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// pause stops reading until resume.
func (s *server) pause() {
	if !s.paused {
		s.paused = true
		s.enc.conn.ReadDisable(true)
	}
}

func (s *server) resume() {
	if s.paused {
		s.paused, s.flooded = false, false
		s.enc.conn.ReadDisable(false)
	}
}

// readSized delivers bytes of a body with a content-length.
func (s *server) readSized(b *network.Buffer) (more bool) {
	data, end := s.in.take(b), s.in.left == 0
	s.enc.conn.AllowSplice(s.in.spliceable())
	if end {
		s.phase = phaseWait
	}
	s.dec.DecodeData(data, end)
	data.Reset()
	return true
}

// readChunked delivers what has come of a chunked body.
func (s *server) readChunked(b *network.Buffer) (more bool, err *http.CodecError) {
	n, err := s.in.chunks(b, maxRequestTrailers)
	if err != nil {
		return false, err
	}
	if n == 0 {
		if s.in.data.Len() > 0 {
			s.dec.DecodeData(&s.in.data, false)
			s.in.data.Reset()
		}
		return s.phase != phaseChunked, nil
	}
	s.in.scanned = 0
	var t *http.HeaderMap
	if n == emptyLine {
		b.Drain(n)
	} else {
		t = s.dec.RequestTrailers()
		if err := readTrailers(b, n, t, s.enc.set); err != nil {
			return false, err
		}
	}
	if t == nil || t.Len() == 0 {
		s.phase = phaseWait
		s.dec.DecodeData(&s.in.data, true)
		s.in.data.Reset()
		return true, nil
	}
	if s.in.data.Len() > 0 {
		s.dec.DecodeData(&s.in.data, false)
		s.in.data.Reset()
		if s.phase != phaseChunked {
			return true, nil
		}
	}
	s.phase = phaseWait
	s.dec.DecodeTrailers(t)
	return true, nil
}

// refuse answers a malformed request, when its response has not begun, and
// tells the manager to end the connection.
func (s *server) refuse(b *network.Buffer, e *http.CodecError) error {
	s.in.data.Reset()
	if s.dec == nil {
		s.begin()
	}
	s.phase, s.details, s.closing = phaseDead, e.Details, true
	if !s.started {
		s.dec.SendLocalReply(e.Status, e.Body, e.Details)
	}
	b.Reset()
	return &http.CodecError{Details: e.Details, Msg: e.Msg, Load: e.Load}
}

// responseDone is called when the last byte of a response is written.
func (s *server) responseDone() {
	s.responded = true
	switch s.phase {
	case phaseWait:
		s.streamDone()
	case phaseDead:
	default:
		// The rest of the request is not awaited; the manager closes.
		s.phase = phaseDead
	}
}

// streamDone makes ready for the next request.
func (s *server) streamDone() {
	s.dec, s.callbacks = nil, nil
	s.phase = phaseHead
	if s.closing {
		s.phase = phaseDead
	} else {
		s.enc.conn.Answered()
	}
	for ; s.readOff > 0; s.readOff-- {
		s.enc.conn.ReadDisable(false)
	}
	s.resume()
}

func (s *server) OnAboveWriteBufferHighWatermark() {
	if s.callbacks != nil {
		s.callbacks.OnAboveWriteBufferHighWatermark()
	}
}

func (s *server) OnBelowWriteBufferLowWatermark() {
	if s.flooded {
		s.resume()
	}
	if s.callbacks != nil {
		s.callbacks.OnBelowWriteBufferLowWatermark()
	}
}
