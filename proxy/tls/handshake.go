package tls

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// handshake is one handshake on its coroutine.
type handshake struct {
	*coroutine
	begun   time.Duration // by the loop's clock
	err     error
	ended   bool
	working bool // work is being done
}

// handshakeKey is how crypto/tls's callbacks find the socket in their context.
type handshakeKey struct{}

func (s *socket) begin() {
	h := &handshake{coroutine: newCoroutine(), begun: s.nc.Loop().Now()}
	s.hs, s.phase = h, shaking
	h.run = func() {
		h.err = s.conn.HandshakeContext(context.WithValue(context.Background(), handshakeKey{}, s))
		h.ended = true
	}
}

// advance runs the handshake as far as it goes and changes the phase at its
// end.
func (s *socket) advance() {
	switch s.phase {
	case fresh:
		s.begin()
	case shaking:
		if s.hs.working {
			return
		}
	default:
		return
	}
	work, _ := s.hs.next()
	if s.flush(); !s.hs.ended {
		if work != nil {
			s.doElsewhere(work)
		}
		return
	}
	s.hs.park()
	err, begun := s.hs.err, s.hs.begun
	s.hs, s.chosen = nil, nil
	cs := s.conn.ConnectionState()
	if err != nil {
		err = s.cause(err, &cs)
		s.describe(&cs, unchecked)
		s.fail(err)
		return
	}
	s.phase = open
	s.end.stats().succeeded(&cs)
	v := unchecked // as in Envoy, for a session that is resumed
	if !cs.DidResume {
		v = s.end.verdict(cs.PeerCertificates)
	}
	switch v {
	case misnamed:
		s.end.stats().FailVerifySAN.Inc()
	case unpinned:
		s.end.stats().FailVerifyCertHash.Inc()
	case untrusted:
		s.end.stats().FailVerifyError.Inc()
	}
	s.describe(&cs, v)
	s.nc.Info.HandshakeBegin, s.nc.Info.HandshakeEnd = begun, s.nc.Loop().Now()
	s.nc.RaiseConnected()
}

// cause is what Envoy would say of a handshake that failed, where it says more
// than crypto/tls, and clears of the session what it would not know.
func (s *socket) cause(err error, cs *tls.ConnectionState) error {
	e, _ := classify(err)
	switch {
	case s.refused != nil:
		*cs = tls.ConnectionState{ServerName: cs.ServerName}
		return s.refused
	case e == errKeyUsage:
		cs.PeerCertificates = nil
	}
	return err
}

// describe tells the connection of its session, of which something may be
// known even if the handshake has failed.
func (s *socket) describe(cs *tls.ConnectionState, v verdict) {
	info := s.nc.Info
	if info == nil {
		info = &network.Info{}
		s.nc.Info = info
	}
	info.NextProtocol = cs.NegotiatedProtocol
	info.TLS = &session{version: cs.Version, cipher: cs.CipherSuite, group: cs.CurveID, serverName: cs.ServerName,
		peers: cs.PeerCertificates, local: s.local, valid: v}
}

// doElsewhere does work on another goroutine and then goes on.
func (s *socket) doElsewhere(work func()) {
	h := s.hs
	h.working = true
	loop := s.nc.Loop()
	go func() {
		work()
		loop.Post(func() {
			h.working = false
			if s.hs == h {
				s.nc.Resume()
			}
		})
	}()
}

// elsewhere has work done while the loop serves others. It is called on the
// handshake's coroutine.
func (s *socket) elsewhere(work func()) error {
	if !s.hs.leave(work) {
		return net.ErrClosed
	}
	return nil
}

// socketOf is the socket in whose handshake crypto/tls calls back; nil when it
// is none of ours.
func socketOf(ctx context.Context) *socket {
	s, _ := ctx.Value(handshakeKey{}).(*socket)
	return s
}
