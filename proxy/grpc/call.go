package grpc

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// Call is a unary call under way.
type Call struct {
	x    *Stream
	done func(response []byte, s Status)
	got  []byte
	have bool
}

// Call makes a unary call with the service's timeout. done is given the
// response, valid during the call, when the status is OK.
func (s *Service) Call(c async.Client, method string, request []byte, downstream *network.Connection, done func(response []byte, s Status)) *Call {
	k := &Call{done: done}
	k.x = s.Open(c, method, s.Timeout, downstream, k)
	k.x.Send(request, true)
	return k
}

// Bytes are what has gone over the wire, known when the call has ended.
func (k *Call) Bytes() http.Bytes { return k.x.Bytes() }

// Cancel gives the call up.
func (k *Call) Cancel() {
	k.done = nil
	k.x.Reset()
}

// OnMessage implements Callbacks.
func (k *Call) OnMessage(m []byte) { k.got, k.have = append(k.got, m...), true }

// OnClose implements Callbacks.
func (k *Call) OnClose(s Status) {
	if s.Code == OK && !k.have {
		s = Status{Code: Internal, Message: "no response"}
	}
	if done := k.done; done != nil {
		k.done = nil
		done(k.got, s)
	}
}
