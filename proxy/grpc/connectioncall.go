package grpc

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// ConnectionCall is a unary call that a connection waits for, given up when the
// connection closes meanwhile. Network filters embed it.
type ConnectionCall struct {
	network.NoWatermarks
	call   *Call
	active *stats.Gauge
}

// Ask makes the call for conn. active counts those under way.
func (a *ConnectionCall) Ask(s *Service, c async.Client, method string, request []byte, conn *network.Connection, active *stats.Gauge, done func(response []byte, s Status)) {
	a.active = active
	active.Inc()
	conn.AddCallbacks(a)
	a.call = s.Call(c, method, request, conn, func(response []byte, s Status) {
		a.ended()
		done(response, s)
	})
}

// Asking tells whether the answer is not there yet.
func (a *ConnectionCall) Asking() bool { return a.call != nil }

func (a *ConnectionCall) ended() {
	a.call = nil
	a.active.Dec()
}

// OnEvent implements network.ConnectionCallbacks.
func (a *ConnectionCall) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected || a.call == nil {
		return
	}
	a.call.Cancel()
	a.ended()
}
