package network

// ConnectionEvent is a change in a connection's life.
type ConnectionEvent uint8

const (
	Connected   ConnectionEvent = iota // a client connection stands
	RemoteClose                        // the peer closed or the transport failed
	LocalClose                         // closed from this side
)

// ConnectionCallbacks is told of a connection's life.
type ConnectionCallbacks interface {
	OnEvent(ConnectionEvent)
	// OnAboveWriteBufferHighWatermark asks whoever produces the bytes to
	// stop; OnBelowWriteBufferLowWatermark to go on.
	OnAboveWriteBufferHighWatermark()
	OnBelowWriteBufferLowWatermark()
}

// NoWatermarks is embedded by ConnectionCallbacks that produce no bytes.
type NoWatermarks struct{}

// OnAboveWriteBufferHighWatermark implements ConnectionCallbacks.
func (NoWatermarks) OnAboveWriteBufferHighWatermark() {}

// OnBelowWriteBufferLowWatermark implements ConnectionCallbacks.
func (NoWatermarks) OnBelowWriteBufferLowWatermark() {}

// AddCallbacks adds somebody to be told of the connection's events.
func (c *Connection) AddCallbacks(cb ConnectionCallbacks) { c.callbacks = append(c.callbacks, cb) }

// RemoveCallbacks takes cb out again.
func (c *Connection) RemoveCallbacks(cb ConnectionCallbacks) {
	for i, x := range c.callbacks {
		if x == cb {
			// A copy, since a notification may be walking the old one.
			c.callbacks = append(append([]ConnectionCallbacks(nil), c.callbacks[:i]...), c.callbacks[i+1:]...)
			return
		}
	}
}

// Drainer is what a connection's callbacks implement to end it in order.
type Drainer interface {
	// OnDrain asks to end the connection as soon as it carries nothing that
	// is wanted. It may be called more than once.
	OnDrain()
}

// Drain has those who use the connection end it by their protocol's means.
func (c *Connection) Drain() {
	for _, cb := range c.callbacks {
		if d, ok := cb.(Drainer); ok && c.Open() {
			d.OnDrain()
		}
	}
}
