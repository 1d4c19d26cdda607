package http2

import (
	"cmp"
	"errors"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// client is an upstream connection's codec.
type client struct {
	conn
	cb     http.ClientCallbacks
	lastID uint32 // of the streams begun
}

// NewClient makes the codec of an upstream connection and sends its preface.
// The settings must not change afterwards.
func NewClient(nc *network.Connection, cb http.ClientCallbacks, set *Settings) http.ClientConnection {
	c := &client{cb: cb}
	c.init(nc, set, c)
	c.phase = phaseSettings
	out := c.output()
	out.AppendString(preface)
	c.flood.queue.add(len(preface), 0, true, false)
	c.wrote(out)
	c.writeSettings()
	return c
}

// NewStream implements http.ClientConnection.
func (c *client) NewStream(dec http.ResponseDecoder) http.RequestEncoder {
	if c.lastID == 0 {
		c.lastID = 1
	} else {
		c.lastID += 2
	}
	c.probeIdle()
	s := c.newStream(c.lastID)
	s.res, s.dec = dec, dec
	return requestEncoder{s}
}

// Exhausted tells that the connection has no stream numbers left.
func (c *client) Exhausted() bool { return c.lastID >= maxStreamID-2 }

// begin implements role.
func (c *client) begin(f frame) (*stream, *connError) {
	s := c.streams[f.stream]
	switch {
	case f.stream > c.lastID, f.stream%2 == 0:
		return nil, errIdleStream
	case s != nil && s.recvEnd:
		c.refuse(f.stream, http2.ErrCodeStreamClosed)
		return nil, nil
	case s == nil && !c.resets.has(f.stream):
		return nil, errClosedStream
	}
	return s, nil
}

// maxInterim bounds the 1xx responses to one request.
const maxInterim = 32

// head implements role: a response, interim or not, has come.
func (c *client) head(s *stream, end bool) *connError {
	h := s.headIn
	status := h.Get(http.Status)
	if status[0] == '1' {
		if s.interim++; end || status == "101" || s.interim > maxInterim {
			return c.malformed(s, errMessaging)
		}
		s.bodyLeft = -1
		s.res.Decode1xxHeaders()
		h.Reset()
		return nil
	}
	s.headersIn = true
	if s.upgrade != "" {
		showAccepted(h, s.upgrade)
	}
	s.res.DecodeHeaders(end)
	s.finishIfDone()
	return nil
}

// finished implements role.
func (c *client) finished(s *stream) { c.flood.streamEnded(&c.conn, s, false) }

// removed implements role.
func (c *client) removed(*stream) { c.cb.OnStreamEnd(c.phase != phaseDead) }

// reset implements role.
func (c *client) reset(r http.ResetReason) {
	if x, ok := c.cb.(ResetCallbacks); ok {
		x.OnStreamReset(r)
	}
}

// ResetCallbacks is a client's user that counts why streams end early.
type ResetCallbacks interface{ OnStreamReset(http.ResetReason) }

// goAway implements role: streams that the server has not looked at may be
// tried elsewhere.
func (c *client) goAway(last uint32, code http2.ErrCode) {
	c.cb.OnGoAway(uint32(code))
	for id, s := range c.streams {
		if id > last {
			s.details = detailRemoteRefuse
			s.tell(http.RemoteRefusedStreamReset)
		}
	}
}

// maxStreams implements role.
func (c *client) maxStreams(n uint32) { c.cb.OnMaxStreams(n) }

// opened implements role.
func (c *client) opened() { c.startKeepAlive() }

// requestEncoder is the request's end of a client's stream.
type requestEncoder struct{ *stream }

var (
	errNoMethod    = errors.New("missing required header: :method")
	errNoPath      = errors.New("missing required header: :path")
	errNoAuthority = errors.New("missing required header: :authority")
	errUnencodable = errors.New("request with a character in a field that can't be sent")
	errNoStream    = errors.New("the stream has ended")
)

// EncodeHeaders implements http.RequestEncoder.
func (r requestEncoder) EncodeHeaders(h *http.HeaderMap, end bool) error {
	s := r.stream
	if s.closed || s.headersOut {
		return errNoStream
	}
	method := h.Get(http.Method)
	if method == "" {
		return errNoMethod
	}
	s.noBody, s.connect = method == "HEAD", method == "CONNECT"
	order := requestPseudo
	switch {
	case h.Has(http.Upgrade) && !s.connect:
		s.upgrade = askByConnect(h)
		order = extConnectPseudo
		defer restoreUpgrade(h, method, s.upgrade)
	case s.connect && h.Has(http.Protocol):
		order = extConnectPseudo
	case s.connect:
		order = connectPseudo
	}
	switch {
	case h.Get(http.Authority) == "":
		return errNoAuthority
	case order[len(order)-1] == http.Path && h.Get(http.Path) == "":
		return errNoPath
	}
	s.headersOut, s.outEnd = true, end
	if !s.c.writeBlock(s, h, order, end) {
		return cmp.Or(h.Unencodable(), errUnencodable)
	}
	if end {
		s.sent()
	}
	return nil
}

// EnableTCPTunneling implements http.RequestEncoder: DATA frames are all there
// is to a tunnel.
func (r requestEncoder) EnableTCPTunneling() {}

var _ http.RequestEncoder = requestEncoder{}
