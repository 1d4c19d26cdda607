package pool

import (
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

type clientState uint8

const (
	connecting clientState = iota
	idle
	busy
	closed
)

// client is one connection of an HTTP1 pool: its codec's user, its
// connection's read filter, and the one told of its close.
type client struct {
	link
	pool       *HTTP1
	prev, next *client               // in the idle list
	codec      http.ClientConnection // nil while connecting
	enc        http.RequestEncoder   // of the request under way
	state      clientState
	last       bool // no request may follow the present one
	bad        bool // the peer broke the protocol
	served     uint32
	timer      event.Timer  // connect timeout, then idle timeout
	lifetime   *event.Timer // max_connection_duration
}

func (c *client) connect() error {
	if err := c.dial(c.pool.key, c, false); err != nil {
		return err
	}
	c.o.Stats.UpstreamCxHTTP1Total.Inc()
	c.o.settings() // their statistics are there from the first attempt on
	c.o.Loop.InitTimer(&c.timer, c.onTimer)
	c.timer.Enable(c.o.Info.ConnectTimeout)
	return nil
}

// begin starts a request.
func (c *client) begin(dec http.ResponseDecoder) http.RequestEncoder {
	c.state = busy
	c.timer.Disable()
	c.served++
	if most := c.o.Info.MaxRequestsPerConnection; most > 0 && c.served >= most {
		c.last = true
		c.o.Stats.UpstreamCxMaxRequests.Inc()
	}
	c.began()
	c.brk.Inc(cluster.Requests)
	c.enc = c.codec.NewStream(dec)
	return c.enc
}

// finish accounts for the end of the request under way.
func (c *client) finish() {
	c.enc = nil
	c.ended()
	c.brk.Dec(cluster.Requests)
}

// OnStreamEnd implements http.ClientCallbacks.
func (c *client) OnStreamEnd(reusable bool) {
	if c.enc == nil {
		return
	}
	c.finish()
	switch {
	case c.state == closed: // the close itself ended the stream
	case !reusable || c.last:
		c.close()
	default:
		c.state = idle
		c.pool.ready(c)
	}
}

// OnCutOff implements http1.CutOffCallbacks.
func (c *client) OnCutOff() {
	if c.state != closed {
		c.closedBusy(network.LocalClose)
	}
}

// OnGoAway implements http.ClientCallbacks.
func (c *client) OnGoAway(uint32) {
	c.last = true
	c.o.Stats.UpstreamCxCloseNotify.Inc()
}

// OnMaxStreams implements http.ClientCallbacks.
func (c *client) OnMaxStreams(uint32) {}

// awaitUse starts the idle timeout.
func (c *client) awaitUse() {
	if t := c.o.Info.IdleTimeout; t > 0 {
		c.timer.Enable(t)
	}
}

func (c *client) onTimer() {
	switch c.state {
	case connecting:
		c.timeout = true
		c.o.Stats.UpstreamCxConnectTimeout.Inc()
	case idle:
		c.o.Stats.UpstreamCxIdleTimeout.Inc()
	default:
		return
	}
	c.close()
}

// onLifetime ends a connection that has stood for max_connection_duration,
// after its request.
func (c *client) onLifetime() {
	c.o.Stats.UpstreamCxMaxDuration.Inc()
	if c.last = true; c.state == idle {
		c.close()
	}
}

func (c *client) close() { c.hangUp(network.NoFlush) }

// OnEvent implements network.ConnectionCallbacks.
func (c *client) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		c.connected()
		c.codec = http1.NewClient(c.conn, c, c.o.settings())
		c.conn.BuildFilters(c.o.Info.Chain(func(*network.ReadCallbacks) network.ReadFilter { return c }))
		c.pool.connecting--
		c.state = idle
		if t := c.o.Info.ConnectionLifetime(); t > 0 {
			c.lifetime = c.o.Loop.NewTimer(c.onLifetime)
			c.lifetime.Enable(t)
		}
		c.pool.ready(c)
		return
	}
	was, active := c.state, c.enc != nil
	c.state = closed
	if active && ev == network.RemoteClose {
		// The end of the connection may be the end of the response.
		if c.codec.Dispatch(c.o.Loop.NewBuffer()) != nil {
			c.blame()
		} else {
			active = c.enc != nil
		}
	}
	c.timer.Release()
	if c.lifetime != nil {
		c.lifetime.Release()
	}
	c.closed(ev, active)
	switch was {
	case connecting:
		c.pool.connecting--
		c.pool.lost(c, c.failure(ev), c.conn.FailureReason())
		return
	case idle:
		c.pool.idle.remove(c)
	case busy:
		if c.enc != nil {
			reason := http.ConnectionTermination
			if c.bad {
				reason = http.ProtocolError
			}
			enc := c.enc
			enc.ResetStream(reason)
			if c.enc != nil {
				c.finish()
			}
		}
	}
	c.o.Stats.UpstreamRqPerCx.Record(uint64(c.served))
	c.pool.lost(c, 0, c.conn.FailureReason())
}

// OnNewConnection implements network.ReadFilter.
func (c *client) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (c *client) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	if c.state == idle {
		// Nothing was asked. A server that says 408 before it closes a
		// connection that stood idle has broken no rule.
		if head := b.Front(); !(len(head) >= 12 && string(head[:7]) == "HTTP/1." && string(head[8:12]) == " 408") {
			c.o.Stats.UpstreamCxProtocolError.Inc()
		}
		b.Reset()
		c.close()
		return network.StopIteration
	}
	if c.codec.Dispatch(b) != nil {
		c.blame()
		c.close()
	}
	return network.StopIteration
}

// blame counts a protocol error.
func (c *client) blame() {
	c.bad = true
	c.o.Stats.UpstreamCxProtocolError.Inc()
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (c *client) OnAboveWriteBufferHighWatermark() {
	if c.codec != nil {
		c.codec.OnAboveWriteBufferHighWatermark()
	}
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (c *client) OnBelowWriteBufferLowWatermark() {
	if c.codec != nil {
		c.codec.OnBelowWriteBufferLowWatermark()
	}
}

// clientList is a stack from which any client can leave.
type clientList struct {
	first *client
	n     int
}

func (l *clientList) push(c *client) {
	l.n++
	c.prev, c.next = nil, l.first
	if l.first != nil {
		l.first.prev = c
	}
	l.first = c
}

func (l *clientList) remove(c *client) {
	l.n--
	if c.prev != nil {
		c.prev.next = c.next
	} else if l.first == c {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}
