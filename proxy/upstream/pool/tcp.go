package pool

import (
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// tcpConn is one connection of tcp_proxy, made for one downstream connection,
// or ahead of one. It stays among the connection's callbacks to keep the
// statistics.
type tcpConn struct {
	network.NoWatermarks
	link
	cb      TCPCallbacks // nil once answered or cancelled, and of a spare one
	waiting bool         // cb counts as pending
	active  bool         // it has a user
	pool    *tcpPool     // nil without preconnecting
	timer   event.Timer  // connect timeout, then a spare one's idle timeout
}

// ConnectTCP makes a connection to h for one user. The callbacks come in a
// later turn, unless no connection may be made at all: then cb was called and
// nil is returned. Half-closing is enabled on the connection.
func ConnectTCP(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32, asks *cluster.TransportOptions, cb TCPCallbacks) Cancellable {
	k := tcpKey{h, prio, key, asks}
	if p := o.tcpPool(k); p != nil {
		if c := p.spare(); c != nil {
			c.lend(cb)
			p.preconnect(o, k)
			return c
		}
	}
	c := newTCP(o, k)
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
	err := o.shed()
	if err == nil {
		err = c.start(key)
	}
	if err != nil {
		reason, why := failureOf(err)
		cb.OnPoolFailure(reason, why, h)
		return nil
	}
	c.wait(cb)
	if c.pool != nil {
		c.pool.preconnect(o, k)
	}
	return c
}

// ResumeTCP is ConnectTCP for a connection to h that stands already. No limit
// refuses it.
func ResumeTCP(o *Owner, h *cluster.Host, prio cluster.Priority, fd int, cb TCPCallbacks) Cancellable {
	c := &tcpConn{link: link{o: o, host: h, hs: h.Stats(o.Loop.Worker), brk: o.Breakers[prio]}}
	if err := c.resume(fd, c, true); err != nil {
		cb.OnPoolFailure(LocalConnectionFailure, err.Error(), h)
		return nil
	}
	c.watch()
	c.wait(cb)
	return c
}

func newTCP(o *Owner, k tcpKey) *tcpConn {
	return &tcpConn{link: link{o: o, host: k.host, hs: k.host.Stats(o.Loop.Worker), brk: o.Breakers[k.prio], asks: k.asks}, pool: o.tcpPool(k)}
}

func (c *tcpConn) start(key uint32) error {
	if err := c.dial(key, c, true); err != nil {
		return err
	}
	c.watch()
	return nil
}

// watch bounds how long connecting takes.
func (c *tcpConn) watch() {
	c.o.Loop.InitTimer(&c.timer, c.onTimer)
	c.timer.Enable(c.o.Info.ConnectTimeout)
}

// wait gives the connection, which is being made, a user.
func (c *tcpConn) wait(cb TCPCallbacks) {
	c.cb, c.waiting = cb, true
	c.o.Stats.UpstreamRqPendingTotal.Inc()
	c.o.Stats.UpstreamRqPendingActive.Inc()
	c.hs.RqPendingActive.Inc()
	c.brk.Inc(cluster.Pending)
	if c.pool != nil {
		c.pool.pending++
	}
}

// answered accounts for the end of waiting.
func (c *tcpConn) answered() TCPCallbacks {
	cb := c.cb
	c.cb = nil
	c.timer.Release()
	if !c.waiting {
		return cb
	}
	c.waiting = false
	c.o.Stats.UpstreamRqPendingActive.Dec()
	c.hs.RqPendingActive.Dec()
	c.brk.Dec(cluster.Pending)
	if c.pool != nil {
		c.pool.pending--
	}
	return cb
}

// Cancel implements Cancellable.
func (c *tcpConn) Cancel() {
	if c.cb == nil {
		return
	}
	c.o.Stats.UpstreamRqCancelled.Inc()
	c.answered()
	c.hangUp(network.NoFlush)
}

func (c *tcpConn) onTimer() {
	if c.up {
		c.o.Stats.UpstreamCxIdleTimeout.Inc()
	} else {
		c.timeout = true
		c.o.Stats.UpstreamCxConnectTimeout.Inc()
	}
	c.hangUp(network.NoFlush)
}

// OnEvent implements network.ConnectionCallbacks.
func (c *tcpConn) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		c.connected()
		if c.cb == nil {
			c.keep()
			return
		}
		cb := c.answered()
		c.activate()
		cb.OnPoolReady(c.conn, c.host)
		return
	}
	c.closed(ev, c.active)
	c.timer.Release()
	waited := c.waiting
	cb := c.answered()
	if c.active {
		delete(c.o.tcp, c)
		c.ended()
		c.brk.Dec(cluster.Requests)
	}
	if c.pool != nil {
		c.pool.left(c)
	}
	if cb != nil {
		if waited {
			c.o.Stats.UpstreamRqPendingFailureEject.Inc()
		}
		cb.OnPoolFailure(c.failure(ev), c.conn.FailureReason(), c.host)
	}
}

// activate accounts for the connection's use.
func (c *tcpConn) activate() {
	c.active = true
	c.began()
	c.brk.Inc(cluster.Requests)
	if c.pool != nil {
		c.pool.active++
	}
	if c.o.Info.CloseOnHealthFailure {
		if c.o.tcp == nil {
			c.o.tcp = map[*tcpConn]struct{}{}
		}
		c.o.tcp[c] = struct{}{}
	}
}
