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
func (s *server) GoAway()         {}

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

// readHead decodes a request's head when all of it has come.
func (s *server) readHead(b *network.Buffer) (more bool, err *http.CodecError) {
	if s.dec == nil {
		if ready, err := s.skipBlank(b); !ready && err == nil {
			return false, nil
		} else if err != nil {
			return false, err
		}
		if s.enc.conn.AboveHighWatermark() {
			count(s.enc.set.Counters.ResponseFlood)
			s.flooded = true
			s.pause()
			return false, nil
		}
		s.begin()
	}
	n := findHead(b, int(s.in.scanned))
	if n == 0 || n > s.enc.set.maxHead() {
		if !startsWithMethod(b.Front()) {
			return false, errStartLine
		}
		if n > 0 || b.Len() > s.enc.set.maxHead() {
			return false, errTooLarge
		}
		s.in.scanned = uint32(b.Len())
		return false, nil
	}
	s.in.scanned = 0
	h := s.dec.RequestHeaders()
	h.SetLimits(s.enc.set.maxLines(), s.enc.set.maxHead())
	if s.http10, err = parseRequest(h, takeHead(b, n, h), s.enc.set); err != nil {
		s.http10 = false
		return false, err
	}
	return true, s.headDone(h)
}

// maxBlank bounds the empty lines that are skipped before a request (RFC 9112
// section 2.2).
const maxBlank = 16

// skipBlank skips empty lines and tells whether a byte of a request is there.
func (s *server) skipBlank(b *network.Buffer) (ready bool, err *http.CodecError) {
	for b.Len() > 0 {
		var p [2]byte
		n := 1
		if p[0] = b.Front()[0]; p[0] != '\r' && p[0] != '\n' {
			s.blank = 0
			return true, nil
		}
		if p[0] == '\r' {
			if n = b.CopyTo(p[:]); n == 1 {
				return false, nil
			}
			if p[1] != '\n' {
				return false, errStartLine
			}
		}
		if s.blank++; s.blank > maxBlank {
			return false, errStartLine
		}
		b.Drain(n)
	}
	return false, nil
}

// begin starts the stream of a request whose first byte has come.
func (s *server) begin() {
	s.enc.framing, s.enc.left, s.details = framing{}, 0, ""
	s.enc.sent, s.enc.headSent = 0, 0
	s.rx.restart()
	s.started, s.responded, s.toClose = false, false, false
	s.isHead, s.connect, s.upgrade, s.closing, s.http10 = false, false, false, false, false
	s.dec = s.cb.NewStream(responseEncoder{s})
}

// headDone decides how the request is framed and delivers its head.
func (s *server) headDone(h *http.HeaderMap) *http.CodecError {
	method := h.Get(http.Method)
	s.isHead, s.connect = method == "HEAD", method == "CONNECT"
	n, chunked, both, err := bodyLength(h, s.http10, s.enc.set)
	if err != nil {
		return err
	}
	var conn connectionTokens
	if h.Has(http.Connection) {
		conn = readConnection(h)
	}
	if h.Has(http.Upgrade) || h.Has(http.HTTP2Settings) {
		// An upgrade of a request with a body may be ignored (RFC 9110
		// section 7.8), and HTTP/2 is spoken from the first byte only.
		if hasToken(h.Get(http.Upgrade), "h2c") || n > 0 || chunked || s.ignores(h.Get(http.Upgrade)) {
			dropUpgrade(h)
		}
		h.Remove(http.HTTP2Settings)
		s.upgrade = conn.upgrade && h.Has(http.Upgrade) && !s.http10
	}
	if h.Has(http.Connection) {
		if err := removeNominated(h); err != nil {
			return err
		}
	}
	s.closing = conn.close || both || s.http10 && !conn.keepAlive
	if s.connect {
		if n > 0 {
			return errConnectBody
		}
		if chunked {
			return errTENoBody
		}
		h.Remove(http.ContentLength)
	}
	switch {
	case s.connect || s.upgrade:
		s.phase = phaseHold
		s.dec.DecodeHeaders(false)
	case chunked:
		s.phase, s.in.chunk, s.in.left = phaseChunked, chunkedStart, 0
		s.dec.DecodeHeaders(false)
	case n > 0:
		s.phase, s.in.left = phaseSized, n
		s.dec.DecodeHeaders(false)
	default:
		s.phase = phaseWait
		s.dec.DecodeHeaders(true)
	}
	return nil
}

// ignores tells whether none of the protocols in an Upgrade header is to be
// changed to.
func (s *server) ignores(list string) bool {
	if s.enc.set.IgnoreUpgrade == nil || list == "" {
		return false
	}
	for list != "" {
		var t string
		if t, list = nextToken(list); t != "" && !s.enc.set.IgnoreUpgrade(t) {
			return false
		}
	}
	return true
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
