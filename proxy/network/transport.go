package network

// TransportSocket stands between a connection's buffers and its descriptor.
// A connection without one carries plain bytes.
type TransportSocket interface {
	// Connected is called when the TCP connection stands.
	Connected(c *Connection)
	// Read moves bytes from the descriptor into in, decrypted.
	Read(c *Connection, in *Buffer) IoResult
	// Write moves bytes from out to the descriptor; end asks for a
	// close_notify behind them.
	Write(c *Connection, out *Buffer, end bool) IoResult
	// Close releases what the socket holds. The descriptor is closed after.
	Close()
	// FailureReason says why the transport failed, or "".
	FailureReason() string
}

// IoResult is what a transport did.
type IoResult struct {
	N    int   // bytes moved
	Err  error // a failure that ends the connection
	End  bool  // the peer has ended the stream
	More bool  // stopped by a bound, not for want of bytes: try again soon
}
