package network

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// read moves what has arrived into the input buffer.
func (c *Connection) read() IoResult {
	if c.transport != nil {
		return c.transport.Read(c, &c.in)
	}
	if c.splice >= minSplice && c.bigReads >= 2 && c.in.size == 0 && c.mayPipe() {
		if r, ok := c.readSplice(); ok {
			return r
		}
	}
	return c.ReadSocket(&c.in)
}

// ReadSocket moves bytes from the descriptor into b, for transport sockets
// and for plain connections.
func (c *Connection) ReadSocket(b *Buffer) IoResult {
	var n, want int
	var errno syscall.Errno
	if c.bigReads == 0 {
		room := b.Reserve(minRead)
		want = len(room)
		n, errno = readOnce(int(c.fd), room)
		if errno == 0 && n > 0 {
			b.Commit(n)
		}
	} else {
		n, want, errno = c.readWide(b)
	}
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		b.Trim()
		return IoResult{More: errno == unix.EINTR}
	case errno != 0:
		b.Trim()
		return IoResult{Err: errno}
	case n == 0:
		b.Trim()
		return IoResult{End: true}
	}
	full := n == want
	if full {
		c.bigReads = min(c.bigReads+1, 8)
	} else if c.bigReads > 0 {
		c.bigReads--
	}
	// After a short read the socket is empty; when the peer's end is known
	// to be there, it is fetched at once.
	return IoResult{N: n, More: full || c.peerClosed}
}

// Receive is one read from the descriptor into p, for transport sockets. more
// is false when the descriptor has nothing further for now; n is 0 then, or
// less than there was room for. The peer's end is io.EOF.
func (c *Connection) Receive(p []byte) (n int, more bool, err error) {
	for {
		n, errno := readOnce(int(c.fd), p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, false, nil
		case errno != 0:
			return 0, false, errno
		case n == 0:
			return 0, false, io.EOF
		default:
			return n, n == len(p) || c.peerClosed, nil
		}
	}
}

const (
	minRead   = 4 << 10  // least room for one read
	wideSlabs = 8        // slabs filled by one readv: 128 KiB
	minSplice = 32 << 10 // below this a copy is cheaper than a pipe
)

// readWide reads into several slabs at once.
func (c *Connection) readWide(b *Buffer) (n, want int, errno syscall.Errno) {
	var iov [wideSlabs]unix.Iovec
	var slabs [wideSlabs]*slab
	for i := range slabs {
		s := c.loop.Pool.get()
		slabs[i] = s
		iov[i].Base = &s.mem[0]
		iov[i].SetLen(len(s.mem))
		want += len(s.mem)
	}
	n, errno = readv(int(c.fd), iov[:])
	left := max(n, 0)
	if errno != 0 {
		left = 0
	}
	if left > 0 {
		b.dropEmptyTail()
	}
	for _, s := range slabs {
		if left == 0 {
			c.loop.Pool.put(s)
			continue
		}
		s.w = min(left, len(s.mem))
		left -= s.w
		b.push(s)
	}
	return n, want, errno
}

// inVain is for how many reads a connection tries no pipe after somebody had
// to look at the bytes in one: a TLS or HTTP/2 connection, or a filter.
const inVain = 255

func (c *Connection) mayPipe() bool {
	if c.copies == 0 {
		return true
	}
	c.copies--
	return false
}

// readSplice moves bytes into a pipe. ok is false when that can't be done and
// an ordinary read should be tried.
func (c *Connection) readSplice() (r IoResult, ok bool) {
	p, err := c.loop.Pool.getPipe()
	if err != nil {
		return r, false
	}
	want := int(min(c.splice, pipeCapacity))
	n, errno := splice(int(c.fd), p.w, want)
	if errno != 0 || n == 0 {
		c.loop.Pool.putPipe(p, true)
		switch {
		case errno == unix.EAGAIN:
			c.bigReads = max(c.bigReads, 1) - 1
			return r, true
		case errno == 0:
			return IoResult{End: true}, true
		}
		c.bigReads = 0
		return r, false
	}
	s := c.loop.Pool.head()
	s.pipe, s.w, p.from = p, n, c
	c.in.push(s)
	c.splice -= int64(n)
	if n < minSplice {
		c.bigReads--
	}
	// A pipe may be full before the socket is empty, so a short count does
	// not tell that nothing is left.
	return IoResult{N: n, More: true}, true
}

// AllowSplice tells that the next n bytes of input are passed on without
// anybody looking at them, so they may stay in the kernel. 0 withdraws it.
func (c *Connection) AllowSplice(n int64) { c.splice = n }

// Splicable tells whether the connection carries plain bytes that one filter
// reads and none sees on their way out.
func (c *Connection) Splicable() bool {
	return c.transport == nil && len(c.filters) == 1 && len(c.writeFilters()) == 0
}
