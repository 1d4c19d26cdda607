package network

import "github.com/weirproxy/weir/internal/fdstore"

// A connection of a listener may go on when the process is killed (package
// fdstore). How far it is stands in its entry before the kernel is asked to
// read or write, never after: what is in doubt does not go on.

// kept is the connection's entry; nil for one that does not go on.
func (c *Connection) kept() *fdstore.Entry { return c.loop.Kept.Opened(int(c.fd)) }

// HoldInput has what is read outlive the process, until it is spent, or
// answered. Nothing may come of it before but what may come twice.
func (c *Connection) HoldInput() {
	if e := c.kept(); e != nil && c.transport == nil {
		e.Hold()
	}
}

// SpendInput tells that something comes of what was read that must not come
// twice.
func (c *Connection) SpendInput() {
	if e := c.kept(); e != nil {
		e.Spend()
	}
}

// holdInput copies the n bytes that were read last.
func (c *Connection) holdInput(e *fdstore.Entry, n int) {
	if room := c.loop.Kept.Room(e, n); room != nil {
		c.in.copyLast(room)
		e.Held()
	}
}

// Answered tells that the response to what was read is complete.
func (c *Connection) Answered() {
	if e := c.kept(); e != nil && c.transport == nil && c.in.size == 0 {
		c.loop.Kept.Answered(e, c.out.size == 0)
	}
}

// Begin gives a connection that is not registered yet bytes as if they had
// been read, before all others.
func (c *Connection) Begin(p []byte) {
	c.in.Append(p)
	c.rx += uint64(len(p))
	c.counters.count(len(p), 0)
	c.loop.Post(c.resumed)
}

// Pair tells that whatever comes from c goes to up as it is, and from there to
// c.
func (c *Connection) Pair(up *Connection) {
	if c.Splicable() && up.Splicable() {
		c.loop.Kept.Pair(int(c.fd), int(up.fd))
	}
}

// forget has the connection end with the process.
func (c *Connection) forget() { c.loop.Kept.Forget(int(c.fd)) }
