package health

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
)

// exchange is the probe by HTTP requests, which gRPC checks are as well. It
// keeps its connection for the next check, where configured.
type exchange struct {
	network.NoWatermarks
	s    *session
	kind interface {
		// send puts the request's head into h and returns its body.
		send(s *session, h *http.HeaderMap) (body []byte)
		// judge reports the result by what was answered.
		judge(e *exchange)
	}
	conn     *network.Connection
	codec    http.ClientConnection
	enc      http.RequestEncoder // of a request that has not ended
	up       bool
	last     bool // no request may follow on the connection
	waiting  bool // for the result of a check
	request  http.HeaderMap
	response http.HeaderMap
	trailers http.HeaderMap
	body     []byte
}

func newExchange(s *session) *exchange {
	e := &exchange{s: s, kind: s.c.cfg.HTTP}
	if s.c.cfg.GRPC != nil {
		e.kind = s.c.cfg.GRPC
	}
	return e
}

func (e *exchange) start() {
	e.waiting = true
	if e.conn != nil {
		e.send()
		return
	}
	conn, err := e.s.dial(e, e)
	if err != nil {
		e.waiting = false
		e.s.failure(networkFailure, false, 0)
		return
	}
	e.conn, e.up, e.last = conn, false, false
	info := e.s.c.o.Info
	if e.s.c.cfg.http2() {
		set := http2.Defaults()
		e.codec = http2.NewClient(conn, e, &set)
		return
	}
	set := http1.Settings{BufferLimit: info.BufferLimit}
	e.codec = http1.NewClient(conn, e, &set)
}

func (e *exchange) send() {
	e.request.Reset()
	e.response.Reset()
	e.trailers.Reset()
	e.body = e.body[:0]
	body := e.kind.send(e.s, &e.request)
	e.enc = e.codec.NewStream(e)
	e.enc.SetCallbacks(e)
	if e.enc.EncodeHeaders(&e.request, len(body) == 0) != nil {
		e.abandon()
		e.s.failure(networkFailure, false, 0)
		return
	}
	if len(body) > 0 && e.enc != nil {
		b := e.s.c.o.Main.NewBuffer()
		b.Append(body)
		e.enc.EncodeData(b, true)
	}
}

func (e *exchange) abandon() { e.close() }

func (e *exchange) close() {
	e.waiting = false
	if c := e.conn; c != nil {
		e.conn, e.enc = nil, nil
		c.Close(network.NoFlush)
	}
}

// complete is the end of the response.
func (e *exchange) complete() {
	if e.waiting {
		e.waiting = false
		e.kind.judge(e)
	}
}

// lost is the end of the connection or the request without a response.
func (e *exchange) lost() {
	if e.waiting {
		e.waiting = false
		e.s.failure(networkFailure, false, 0)
	}
}

// OnStreamEnd implements http.ClientCallbacks.
func (e *exchange) OnStreamEnd(reusable bool) {
	if e.conn == nil {
		return
	}
	e.enc = nil
	if !reusable || e.last || !e.s.c.cfg.Reuse {
		e.close()
	}
}

// OnGoAway implements http.ClientCallbacks.
func (e *exchange) OnGoAway(uint32) {
	if e.last = true; e.enc == nil && e.conn != nil {
		e.s.c.o.Main.Post(e.closeIdle)
	}
}

func (e *exchange) closeIdle() {
	if e.last && e.enc == nil && !e.waiting {
		e.close()
	}
}

// OnMaxStreams implements http.ClientCallbacks.
func (e *exchange) OnMaxStreams(uint32) {}

// OnEvent implements network.ConnectionCallbacks.
func (e *exchange) OnEvent(ev network.ConnectionEvent) {
	if e.conn == nil {
		return // closed from here
	}
	if ev == network.Connected {
		e.up = true
		e.send()
		return
	}
	if ev == network.RemoteClose && e.enc != nil {
		// The end of the connection may be the end of the response.
		_ = e.codec.Dispatch(e.s.c.o.Main.NewBuffer())
	}
	e.conn, e.enc = nil, nil
	e.lost()
}

// OnNewConnection implements network.ReadFilter.
func (e *exchange) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (e *exchange) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	if e.conn == nil {
		b.Reset()
	} else if e.codec.Dispatch(b) != nil && e.conn != nil {
		waiting := e.waiting
		e.close()
		if e.waiting = waiting; waiting {
			e.lost()
		}
	}
	return network.StopIteration
}

// ResponseHeaders implements http.ResponseDecoder.
func (e *exchange) ResponseHeaders() *http.HeaderMap { return &e.response }

// ResponseTrailers implements http.ResponseDecoder.
func (e *exchange) ResponseTrailers() *http.HeaderMap { return &e.trailers }

// Decode1xxHeaders implements http.ResponseDecoder.
func (e *exchange) Decode1xxHeaders() {}

// DecodeHeaders implements http.ResponseDecoder.
func (e *exchange) DecodeHeaders(end bool) {
	if end {
		e.complete()
	}
}

// DecodeData implements http.StreamDecoder.
func (e *exchange) DecodeData(b *network.Buffer, end bool) {
	for piece := range b.Pieces {
		e.body = append(e.body, piece[:min(len(piece), maxBody-len(e.body))]...)
	}
	b.Reset()
	if end {
		e.complete()
	}
}

// maxBody is how much of a response is looked at, at most.
const maxBody = 64 << 10

// DecodeTrailers implements http.StreamDecoder.
func (e *exchange) DecodeTrailers(*http.HeaderMap) { e.complete() }

// OnResetStream implements http.StreamCallbacks.
func (e *exchange) OnResetStream(http.ResetReason, string) {
	e.enc = nil
	e.lost()
}

var (
	_ http.ResponseDecoder        = (*exchange)(nil)
	_ http.ClientCallbacks        = (*exchange)(nil)
	_ http.StreamCallbacks        = (*exchange)(nil)
	_ network.ConnectionCallbacks = (*exchange)(nil)
)
