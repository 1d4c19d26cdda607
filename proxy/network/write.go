package network

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/fdstore"
)

// Write takes all of b, through the write filters, to the output buffer. It
// goes out when the current handler returns, or when the peer has room. end
// asks to end this side of the stream behind it.
func (c *Connection) Write(b *Buffer, end bool) {
	if c.state == stateClosed || c.state == stateClosing || c.writeEnd {
		b.Reset()
		return
	}
	for _, f := range c.writeFilters() {
		if f.OnWrite(b, end) == StopIteration {
			return
		}
	}
	c.out.Move(b)
	c.writeEnd = c.writeEnd || end
	c.outputAdded()
}

// Out is the output buffer, for an encoder that writes straight into it. It
// is nil when write filters want to see the bytes first. Wrote must follow.
func (c *Connection) Out() *Buffer {
	if len(c.writeFilters()) > 0 || c.state == stateClosed || c.state == stateClosing || c.writeEnd {
		return nil
	}
	return &c.out
}

// Wrote tells that bytes were added to Out.
func (c *Connection) Wrote() { c.outputAdded() }

func (c *Connection) outputAdded() {
	if c.limit > 0 && !c.aboveHigh && c.out.size > int(c.limit) {
		c.aboveHigh = true
		for _, cb := range c.callbacks {
			cb.OnAboveWriteBufferHighWatermark()
		}
	}
	c.flushLater()
}

func (c *Connection) flushLater() {
	if !c.flushing && c.state != stateConnecting {
		c.flushing = true
		if c.gather {
			c.loop.FlushAtTurnEnd(c)
		} else {
			c.loop.FlushLater(c)
		}
	}
}

// GatherWrites has output written once a turn instead of once a handler: many
// handlers write to a connection whose streams belong to many others.
func (c *Connection) GatherWrites() { c.gather = true }

// OutputLen is how many bytes wait to be written.
func (c *Connection) OutputLen() int { return c.out.size }

// Flush implements event.Flusher: it writes until the socket is full.
func (c *Connection) Flush() {
	c.flushing = false
	if c.state == stateClosed || c.state == stateConnecting {
		return
	}
	var r IoResult
	var kept *fdstore.Entry
	if c.out.size > 0 || c.transport != nil {
		if kept = c.kept(); kept != nil {
			kept.Writing()
		}
	}
	if c.transport != nil {
		r = c.transport.Write(c, &c.out, c.writeEnd)
	} else if c.out.size > 0 {
		r = c.WriteSocket(&c.out)
	}
	if kept != nil && c.out.size == 0 {
		kept.Written()
	}
	if r.N > 0 {
		c.tx += uint64(r.N)
		c.counters.count(0, r.N)
	}
	if r.Err != nil {
		c.writeFailed(r.Err)
		return
	}
	if r.N > 0 && c.state == stateClosing {
		c.rare.delay.Enable(c.patience()) // a peer that reads is waited for
	}
	if c.aboveHigh && c.out.size <= int(c.limit/2) {
		c.aboveHigh = false
		for _, cb := range c.callbacks {
			cb.OnBelowWriteBufferLowWatermark()
		}
	}
	if c.out.size == 0 && !r.Held {
		c.maybeFinish()
	}
}

// writeFailed handles a write to a broken connection. What the peer sent
// before it went is read first: it may be an answer.
func (c *Connection) writeFailed(err error) {
	c.out.Reset()
	if c.state == stateClosing {
		c.closeNow(LocalClose)
		return
	}
	c.peerClosed = true
	if c.readOff == 0 && !c.reading {
		c.onReadable()
	}
	if c.state != stateClosed {
		c.fail(err)
	}
}

// WriteSocket writes b to the descriptor until either is exhausted.
func (c *Connection) WriteSocket(b *Buffer) IoResult {
	total := 0
	for b.size > 0 {
		n, errno := c.writeHead(b)
		if errno != 0 {
			switch errno {
			case unix.EAGAIN:
				return IoResult{N: total}
			case unix.EINTR:
				continue
			}
			return IoResult{N: total, Err: errno}
		}
		total += n
	}
	return IoResult{N: total}
}

// writeHead writes the memory slabs at the head of b by one call, or the pipe
// there, and drains what went out.
func (c *Connection) writeHead(b *Buffer) (int, syscall.Errno) {
	for b.head.len() == 0 {
		b.shift()
	}
	s := b.head
	if s.pipe != nil {
		return c.writeSplice(b)
	}
	flags := c.beforeEnd()
	if s.next == nil {
		n, errno := sendOnce(int(c.fd), s.mem[s.r:s.w], flags)
		if errno == 0 {
			b.Drain(n)
		}
		return n, errno
	}
	var iov [maxIov]unix.Iovec
	k := 0
	for ; s != nil && k < len(iov); s = s.next {
		if s.pipe != nil {
			flags = unix.MSG_MORE
			break
		}
		if s.len() > 0 {
			iov[k].Base = &s.mem[s.r]
			iov[k].SetLen(s.len())
			k++
		}
	}
	n, errno := sendv(int(c.fd), iov[:k], flags)
	if errno == 0 {
		b.Drain(n)
	}
	return n, errno
}

// beforeEnd has the kernel hold back the last bytes when the end of the stream
// follows them at once, so that both leave in one segment.
func (c *Connection) beforeEnd() (flags int) {
	if c.writeEnd && !c.shutDown && c.transport == nil {
		return unix.MSG_MORE
	}
	return 0
}

func (c *Connection) writeSplice(b *Buffer) (int, syscall.Errno) {
	s := b.head
	n, errno := splice(s.pipe.r, int(c.fd), s.len())
	if errno == unix.EINVAL {
		b.materialise()
		return 0, 0
	}
	if errno != 0 {
		return 0, errno
	}
	s.r += n
	b.size -= n
	if s.len() == 0 {
		b.shift()
	}
	return n, 0
}
