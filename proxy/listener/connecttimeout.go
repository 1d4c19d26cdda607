package listener

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

// connectTimeout closes a connection whose transport socket is not connected
// in time (FilterChain.transport_socket_connect_timeout).
type connectTimeout struct {
	network.NoWatermarks
	c     *conn
	timer overload.Timer
}

// watchConnect starts the timeout.
func (c *conn) watchConnect() {
	w := &connectTimeout{c: c}
	w.timer.Init(c.Loop().Dispatcher, c.at.al.h.shared.overload, overload.TransportConnect, w.expired)
	w.timer.Enable(c.at.chain.connectTimeout)
	c.AddCallbacks(w)
}

func (w *connectTimeout) expired() {
	w.c.at.al.stats.TransportTimeout.Inc()
	w.c.CloseBecause(network.NoFlush, "connect timeout")
}

// OnEvent implements network.ConnectionCallbacks: whatever happens first ends
// the wait.
func (w *connectTimeout) OnEvent(network.ConnectionEvent) {
	if w.timer.Ready() {
		w.timer.Release()
	}
}
