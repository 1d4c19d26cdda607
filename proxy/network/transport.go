package network

// TransportSocket stands between a connection's buffers and its descriptor.
// A connection without one carries plain bytes.
type TransportSocket interface {
	// Connected is called when the TCP connection stands. The socket calls
	// Connection.RaiseConnected once bytes can pass.
	Connected(c *Connection)
	// Read moves bytes from the descriptor into in, decrypted.
	Read(c *Connection, in *Buffer) IoResult
	// Write moves bytes from out to the descriptor; end asks for a
	// close_notify behind them. It is also called, with nothing in out, when
	// the descriptor has become writable.
	Write(c *Connection, out *Buffer, end bool) IoResult
	// CanFlushClose tells whether bytes still to be written can be: not
	// before the handshake is done.
	CanFlushClose() bool
	// Close releases what the socket holds. The descriptor is closed after.
	Close(c *Connection)
	// FailureReason says why the transport failed, or "".
	FailureReason() string
}

// IoResult is what a transport did.
type IoResult struct {
	N    int   // bytes moved
	Err  error // a failure that ends the connection
	End  bool  // the peer has ended the stream
	More bool  // stopped by a bound, not for want of bytes: try again soon
	Held bool  // of a Write: what was taken is not all on the wire yet
}

// Resume has the connection write and read on: for a transport socket that
// had waited for something else than the descriptor.
func (c *Connection) Resume() {
	if c.state == stateClosed {
		return
	}
	if c.Flush(); c.state != stateClosed {
		c.onReadable()
	}
}
