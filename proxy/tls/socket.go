package tls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"

	"github.com/weirproxy/weir/proxy/network"
)

type phase uint8

const (
	fresh    phase = iota // nothing was read or written yet
	shaking               // the handshake is under way
	open                  // bytes pass
	failed                // err says why
	finished              // closed
)

// socket is one TLS connection. It belongs to its connection's loop; during
// the handshake the coroutine uses it while the loop waits for it.
type socket struct {
	conn    *tls.Conn
	nc      *network.Connection
	end     end
	hs      *handshake     // nil but during the handshake
	sealed  network.Buffer // records that are not on the wire yet
	err     error
	reason  string
	refused error             // why a server ends the handshake, whatever crypto/tls makes of it
	chosen  *tls.Certificate  // a server's, once the client has said what it knows
	local   *x509.Certificate // the one that was sent
	phase   phase
	drained bool // the descriptor has no more bytes for now
	shut    bool // close_notify was sent
	spared  bool // the handshake's buffers were given back
}

// end is what the two ends of a connection do differently.
type end interface {
	// start makes the crypto/tls connection over w.
	start(w net.Conn) *tls.Conn
	// speaksFirst tells who begins the handshake.
	speaksFirst() bool
	// verdict is what came of the check of the peer's chain, which was not
	// refused.
	verdict(chain []*x509.Certificate) verdict
	stats() *Stats
}

// Connected implements network.TransportSocket.
func (s *socket) Connected(c *network.Connection) {
	s.nc = c
	s.sealed.Init(&c.Loop().Pool)
	s.conn = s.end.start((*wire)(s))
	if s.end.speaksFirst() {
		c.Resume()
	}
}

// Read implements network.TransportSocket.
func (s *socket) Read(c *network.Connection, in *network.Buffer) (r network.IoResult) {
	s.drained = false
	if s.phase != open {
		if s.advance(); s.phase != open {
			return network.IoResult{Err: s.err}
		}
	}
	for r.N < maxRead {
		n, err := s.conn.Read(in.Reserve(minRoom))
		if n > 0 {
			in.Commit(n)
			r.N += n
		}
		switch {
		case err == nil:
			continue
		case err == errNoBytes:
			if !s.spared {
				s.spared = true
				spare(s.conn)
			}
		case errors.Is(err, io.EOF):
			r.End = true
		default:
			s.fail(err)
			r.Err = s.err
		}
		in.Trim()
		s.flush() // an alert, or the answer to a key update
		return r
	}
	r.More = true
	return r
}

const (
	maxRead   = 128 << 10 // plaintext bytes before others get their turn
	minRoom   = 4 << 10   // least room for one read
	maxRecord = 16 << 10  // plaintext of one record, RFC 8446 section 5.1
	batch     = 256 << 10 // sealed bytes that are written in one go: long writes cost the kernel least
)

// Write implements network.TransportSocket.
func (s *socket) Write(c *network.Connection, out *network.Buffer, end bool) (r network.IoResult) {
	if s.phase != open {
		s.drained = false
		if s.advance(); s.phase != open {
			return network.IoResult{Err: s.err, Held: true}
		}
	}
	for {
		if err := s.flush(); err != nil {
			r.Err = err
			return r
		}
		if s.sealed.Len() > 0 || out.Len() == 0 {
			break
		}
		n, err := s.seal(out)
		r.N += n
		if err != nil {
			s.fail(err)
			r.Err = s.err
			return r
		}
	}
	if end && out.Len() == 0 && !s.shut {
		s.closeNotify()
		s.flush()
	}
	r.Held = s.sealed.Len() > 0
	return r
}

// seal encrypts a batch from out.
func (s *socket) seal(out *network.Buffer) (n int, err error) {
	for out.Len() > 0 && s.sealed.Len() < batch && err == nil {
		k := 0
		k, err = s.conn.Write(nextRecord(out))
		out.Drain(k)
		n += k
	}
	return n, err
}

// nextRecord is the start of b, as much of it as makes a good record. Small
// pieces, as a header section and a short body are, share one.
func nextRecord(b *network.Buffer) []byte {
	front := b.Front()
	if len(front) < minRoom && b.Len() > len(front) && b.Len() <= maxRecord {
		return b.Linearize(b.Len())
	}
	return front[:min(len(front), maxRecord)]
}

// flush writes sealed records as far as the descriptor takes them.
func (s *socket) flush() error {
	if s.sealed.Len() == 0 {
		return nil
	}
	return s.nc.WriteSocket(&s.sealed).Err
}

func (s *socket) closeNotify() {
	s.shut = true
	s.conn.CloseWrite() // it fails only where writing has failed
}

// CanFlushClose implements network.TransportSocket.
func (s *socket) CanFlushClose() bool { return s.phase == open }

// Close implements network.TransportSocket.
func (s *socket) Close(*network.Connection) {
	was := s.phase
	s.phase = finished
	switch was {
	case shaking:
		s.hs.stop()
		s.hs = nil
	case open:
		if !s.shut && s.sealed.Len() == 0 {
			s.closeNotify()
		}
	}
	s.flush()
	s.sealed.Reset()
}

// FailureReason implements network.TransportSocket.
func (s *socket) FailureReason() string { return s.reason }

// fail ends the connection after an error of crypto/tls, whose alert is
// written.
func (s *socket) fail(err error) {
	s.end.stats().failed(err)
	if s.phase, s.err = failed, err; isEOF(err) {
		s.err = io.EOF // the peer has just gone
	}
	s.reason = explain(err)
	s.flush()
}
