package pool

import (
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// tcpConn is one connection of tcp_proxy, made for one downstream connection.
// It stays among the connection's callbacks to keep the statistics.
type tcpConn struct {
	link
	cb    TCPCallbacks // nil once answered or cancelled
	timer event.Timer  // connect timeout
}

// ConnectTCP makes a connection to h for one user. The callbacks come in a
// later turn, unless no connection may be made at all: then cb was called and
// nil is returned. Half-closing is enabled on the connection.
func ConnectTCP(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32, asks *cluster.TransportOptions, cb TCPCallbacks) Cancellable {
	c := &tcpConn{link: link{o: o, host: h, hs: h.Stats(o.Loop.Worker), brk: o.Breakers[prio], asks: asks}, cb: cb}
	if !c.brk.CanCreate(cluster.Pending) {
		o.Stats.UpstreamRqPendingOverflow.Inc()
		cb.OnPoolFailure(Overflow, "", h)
		return nil
	}
	// Nobody would release a connection to one that waits for it.
	if !c.mayConnect(false) {
		cb.OnPoolFailure(Overflow, "", h)
		return nil
	}
	if err := c.dial(key, c, true); err != nil {
		cb.OnPoolFailure(LocalConnectionFailure, err.Error(), h)
		return nil
	}
	o.Stats.UpstreamRqPendingTotal.Inc()
	o.Stats.UpstreamRqPendingActive.Inc()
	c.hs.RqPendingActive.Inc()
	c.brk.Inc(cluster.Pending)
	o.Loop.InitTimer(&c.timer, c.onTimer)
	c.timer.Enable(o.Info.ConnectTimeout)
	return c
}

// answered accounts for the end of waiting.
func (c *tcpConn) answered() TCPCallbacks {
	cb := c.cb
	c.cb = nil
	c.timer.Release()
	c.o.Stats.UpstreamRqPendingActive.Dec()
	c.hs.RqPendingActive.Dec()
	c.brk.Dec(cluster.Pending)
	return cb
}

// Cancel implements Cancellable.
func (c *tcpConn) Cancel() {
	if c.cb == nil {
		return
	}
	c.o.Stats.UpstreamRqCancelled.Inc()
	c.answered()
	c.conn.Close(network.NoFlush)
}

func (c *tcpConn) onTimer() {
	c.timeout = true
	c.o.Stats.UpstreamCxConnectTimeout.Inc()
	c.conn.Close(network.NoFlush)
}

// OnEvent implements network.ConnectionCallbacks.
func (c *tcpConn) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		c.connected()
		cb := c.answered()
		c.began()
		c.brk.Inc(cluster.Requests)
		if c.o.Info.CloseOnHealthFailure {
			if c.o.tcp == nil {
				c.o.tcp = map[*tcpConn]struct{}{}
			}
			c.o.tcp[c] = struct{}{}
		}
		cb.OnPoolReady(c.conn, c.host)
		return
	}
	c.closed(ev, c.up)
	if c.up {
		delete(c.o.tcp, c)
		c.ended()
		c.brk.Dec(cluster.Requests)
		return
	}
	if c.cb != nil {
		c.o.Stats.UpstreamRqPendingFailureEject.Inc()
		c.answered().OnPoolFailure(c.failure(ev), c.conn.FailureReason(), c.host)
	}
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (c *tcpConn) OnAboveWriteBufferHighWatermark() {}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (c *tcpConn) OnBelowWriteBufferLowWatermark() {}
