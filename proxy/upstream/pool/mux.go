package pool

import (
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

type muxState uint8

const (
	muxConnecting muxState = iota
	muxReady
	muxDraining // no request may be started any more
	muxClosed
)

// muxClient is one connection of an HTTP2 pool.
type muxClient struct {
	link
	pool     *HTTP2
	codec    http.ClientConnection // nil while connecting
	state    muxState
	active   uint32 // requests under way
	limit    uint32 // of them at once
	served   uint32
	bad      bool                // the peer broke the protocol
	single   http.RequestEncoder // the request under way, when HTTP/1 is spoken
	timer    event.Timer         // connect timeout, then idle timeout
	lifetime *event.Timer        // max_connection_duration
}

func (c *muxClient) connect() error {
	c.limit = c.o.settings2().MaxStreams
	if err := c.dial(c.pool.key, c, false); err != nil {
		return err
	}
	c.o.Loop.InitTimer(&c.timer, c.onTimer)
	c.timer.Enable(c.o.Info.ConnectTimeout)
	return nil
}

// speak chooses the codec of a connection that stands.
func (c *muxClient) speak() {
	info := c.conn.Info
	if c.pool.proto == cluster.Auto && (info == nil || info.NextProtocol != "h2") {
		c.o.Stats.UpstreamCxHTTP1Total.Inc()
		c.limit = 1
		c.codec = http1.NewClient(c.conn, c, c.o.settings())
		return
	}
	c.o.Stats.UpstreamCxHTTP2Total.Inc()
	c.codec = http2.NewClient(c.conn, c, c.o.settings2())
}

// begin starts a request.
func (c *muxClient) begin(dec http.ResponseDecoder) http.RequestEncoder {
	c.timer.Disable()
	c.active++
	c.served++
	if most := c.o.Info.MaxRequestsPerConnection; most > 0 && c.served >= most {
		c.state = muxDraining
		c.o.Stats.UpstreamCxMaxRequests.Inc()
	}
	if x, ok := c.codec.(interface{ Exhausted() bool }); ok && x.Exhausted() {
		c.state = muxDraining
	}
	c.began()
	c.brk.Inc(cluster.Requests)
	enc := c.codec.NewStream(dec)
	if c.codec.Protocol() < http.HTTP2 {
		c.single = enc
	}
	return enc
}

// OnStreamEnd implements http.ClientCallbacks.
func (c *muxClient) OnStreamEnd(reusable bool) {
	if c.active == 0 {
		return
	}
	c.active--
	c.single = nil
	c.ended()
	c.brk.Dec(cluster.Requests)
	if c.state == muxClosed {
		return
	}
	if !reusable && c.state == muxReady {
		c.state = muxDraining
	}
	switch {
	case c.pool.queue.n > 0, c.active == 0 && (c.state == muxDraining || c.pool.draining):
		c.pool.serveLater()
	case c.active == 0:
		c.awaitUse()
	}
}

// OnCutOff implements http1.CutOffCallbacks.
func (c *muxClient) OnCutOff() {
	if c.state != muxClosed {
		c.closedBusy(network.LocalClose)
	}
}

// OnStreamReset implements http2.ResetCallbacks.
func (c *muxClient) OnStreamReset(r http.ResetReason) {
	switch r {
	case http.RemoteReset, http.ConnectError:
		c.o.Stats.UpstreamRqRxReset.Inc()
	case http.LocalReset, http.LocalRefusedStreamReset, http.ProtocolError: // this side gave up, too
		c.o.Stats.UpstreamRqTxReset.Inc()
	}
}

// awaitUse starts the idle timeout.
func (c *muxClient) awaitUse() {
	if t := c.o.Info.IdleTimeout; t > 0 {
		c.timer.Enable(t)
	}
}

// closeIfDone closes a connection that is not to be used again.
func (c *muxClient) closeIfDone() {
	if c.active == 0 && c.state != muxConnecting && c.state != muxClosed &&
		(c.state == muxDraining || c.pool.draining && c.pool.queue.n == 0) {
		c.conn.Close(network.FlushWrite)
	}
}

// OnGoAway implements http.ClientCallbacks.
func (c *muxClient) OnGoAway(uint32) {
	if c.state != muxReady {
		return
	}
	c.state = muxDraining
	c.o.Stats.UpstreamCxCloseNotify.Inc()
	c.pool.serveLater()
}

// OnMaxStreams implements http.ClientCallbacks.
func (c *muxClient) OnMaxStreams(n uint32) {
	before := c.limit
	if c.limit = min(n, c.o.settings2().MaxStreams); c.limit > before && c.pool.queue.n > 0 {
		c.pool.serveLater()
	}
}

func (c *muxClient) onTimer() {
	switch {
	case c.state == muxConnecting:
		c.timeout = true
		c.o.Stats.UpstreamCxConnectTimeout.Inc()
	case c.state == muxReady && c.active == 0:
		c.o.Stats.UpstreamCxIdleTimeout.Inc()
	default:
		return
	}
	c.hangUp(network.NoFlush)
}

// onLifetime drains a connection that has stood for max_connection_duration.
func (c *muxClient) onLifetime() {
	c.o.Stats.UpstreamCxMaxDuration.Inc()
	if c.state == muxReady {
		c.state = muxDraining
		c.pool.serveLater()
	}
}

// OnEvent implements network.ConnectionCallbacks.
func (c *muxClient) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		c.onConnected()
		return
	}
	if c.state == muxClosed {
		return
	}
	was, busy := c.state, c.active > 0
	c.state = muxClosed
	if c.single != nil && ev == network.RemoteClose {
		if c.codec.Dispatch(c.o.Loop.NewBuffer()) != nil {
			c.blame() // the end of the connection was not the end of the response
		} else {
			busy = c.active > 0
		}
	}
	c.timer.Release()
	if c.lifetime != nil {
		c.lifetime.Release()
	}
	c.closed(ev, busy)
	if was == muxConnecting {
		c.pool.lost(c, c.failure(ev), c.conn.FailureReason())
		return
	}
	c.resetAll()
	c.o.Stats.UpstreamRqPerCx.Record(uint64(c.served))
	c.pool.lost(c, 0, c.conn.FailureReason())
}

func (c *muxClient) onConnected() {
	c.connected()
	c.state = muxReady
	c.timer.Disable()
	if t := c.o.Info.ConnectionLifetime(); t > 0 {
		c.lifetime = c.o.Loop.NewTimer(c.onLifetime)
		c.lifetime.Enable(t)
	}
	c.speak()
	c.conn.BuildFilters(c.o.Info.Chain(func(*network.ReadCallbacks) network.ReadFilter { return c }))
	c.awaitUse()
	c.pool.serveLater()
}

// resetAll ends the requests of a connection that has closed.
func (c *muxClient) resetAll() {
	if x, ok := c.codec.(interface{ OnConnectionClosed() }); ok {
		x.OnConnectionClosed()
	}
	if c.single != nil {
		reason := http.ConnectionTermination
		if c.bad {
			reason = http.ProtocolError
		}
		c.single.ResetStream(reason)
	}
	for c.active > 0 {
		c.OnStreamEnd(false)
	}
}

// OnNewConnection implements network.ReadFilter.
func (c *muxClient) OnNewConnection() network.FilterStatus { return network.Continue }

// OnData implements network.ReadFilter.
func (c *muxClient) OnData(b *network.Buffer, _ bool) network.FilterStatus {
	if c.codec.Dispatch(b) != nil {
		c.blame()
		if c.active > 0 {
			c.closedBusy(network.LocalClose)
		}
		c.conn.Close(network.FlushWrite) // GOAWAY goes out
		if c.state != muxClosed {
			c.resetAll()
		}
	}
	return network.StopIteration
}

// blame counts a protocol error.
func (c *muxClient) blame() {
	c.bad = true
	if c.state == muxReady {
		c.state = muxDraining
	}
	c.o.Stats.UpstreamCxProtocolError.Inc()
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks.
func (c *muxClient) OnAboveWriteBufferHighWatermark() {
	if c.codec != nil {
		c.codec.OnAboveWriteBufferHighWatermark()
	}
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (c *muxClient) OnBelowWriteBufferLowWatermark() {
	if c.codec != nil {
		c.codec.OnBelowWriteBufferLowWatermark()
	}
}

var _ network.ConnectionCallbacks = (*muxClient)(nil)
