package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// server is a downstream connection's codec.
type server struct {
	conn
	cb http.ServerCallbacks
}

// NewServer makes the codec of a downstream connection. The settings must not
// change afterwards.
func NewServer(nc *network.Connection, cb http.ServerCallbacks, set *Settings) http.ServerConnection {
	s := &server{cb: cb}
	s.init(nc, set, s)
	return s
}

// begin implements role.
func (v *server) begin(f frame) (*stream, *connError) {
	id := f.stream
	if s := v.streams[id]; s != nil {
		if s.recvEnd {
			v.refuse(id, http2.ErrCodeStreamClosed)
			return nil, nil
		}
		return s, nil
	}
	switch {
	case id%2 == 0:
		return nil, errStreamID
	case id <= v.lastPeer:
		if v.resets.has(id) {
			// It was under way, but no request has a second section that
			// does not end it.
			if !f.flags.Has(http2.FlagHeadersEndStream) {
				v.refuse(id, http2.ErrCodeProtocol)
			}
			return nil, nil
		}
		return nil, errClosedStream
	}
	v.lastPeer = id
	switch {
	case id > v.goAwayLast: // the client tries it elsewhere
		return nil, nil
	case len(v.streams) >= int(v.set.MaxStreams):
		count(v.set.Counters.StreamRefusedErrors)
		v.flood.serverReset(&v.conn)
		v.resetStream(id, http2.ErrCodeRefusedStream)
		return nil, nil
	}
	s := v.newStream(id)
	s.req = v.cb.NewStream(responseEncoder{s})
	s.dec = s.req
	return s, nil
}

// head implements role: a request begins.
func (v *server) head(s *stream, end bool) *connError {
	h := s.req.RequestHeaders()
	s.headersIn = true
	method := h.Get(http.Method)
	s.noBody, s.connect = method == "HEAD", method == "CONNECT"
	if h.Has(http.Protocol) {
		if !v.set.AllowConnect {
			return v.malformed(s, errMessaging)
		}
		s.upgrade = h.Get(http.Protocol)
		showAsUpgrade(h, s.upgrade)
	}
	s.req.DecodeHeaders(end)
	s.finishIfDone()
	return nil
}

// finished implements role.
func (v *server) finished(s *stream) { v.flood.streamEnded(&v.conn, s, false) }

// Busy tells whether streams are left, be it only for what the peer has not
// taken of their responses.
func (v *server) Busy() bool { return len(v.streams) > 0 }

// IdleCallbacks is a server's user that waits for the last stream's end.
type IdleCallbacks interface {
	// OnCodecIdle tells, in a later turn, that GOAWAY has been sent and no
	// stream is left.
	OnCodecIdle()
}

// removed implements role.
func (v *server) removed(*stream) {
	if len(v.streams) > 0 || v.goAwayLast == maxStreamID || v.phase == phaseDead {
		return
	}
	if cb, ok := v.cb.(IdleCallbacks); ok {
		v.nc.Loop().Post(cb.OnCodecIdle)
	}
}

// reset implements role.
func (v *server) reset(http.ResetReason) {}

// goAway implements role.
func (v *server) goAway(_ uint32, code http2.ErrCode) { v.cb.OnGoAway(uint32(code)) }

// maxStreams implements role: nothing is pushed.
func (v *server) maxStreams(uint32) {}

// opened implements role.
func (v *server) opened() { v.startKeepAlive() }

// responseEncoder is the response's end of a server's stream. It is only a
// pointer, so it costs nothing to make one for each request.
type responseEncoder struct{ *stream }

// Encode1xxHeaders implements http.ResponseEncoder. There is no 101 in HTTP/2.
func (r responseEncoder) Encode1xxHeaders(h *http.HeaderMap) {
	if r.closed || r.headersOut || h.Get(http.Status) == "101" {
		return
	}
	r.c.writeBlock(r.stream, h, responsePseudo, false)
}

// EncodeHeaders implements http.ResponseEncoder.
func (r responseEncoder) EncodeHeaders(h *http.HeaderMap, end bool) {
	s := r.stream
	if s.closed || s.headersOut {
		return
	}
	if h.Get(http.Status) == "101" {
		acceptUpgrade(h)
	}
	s.headersOut, s.outEnd = true, end
	if !s.c.writeBlock(s, h, responsePseudo, end) {
		s.abort(http2.ErrCodeInternal, http.LocalReset)
		return
	}
	if end {
		s.sent()
	}
}

var _ http.ResponseEncoder = responseEncoder{}
