package network

import (
	"github.com/weirproxy/weir/proxy/event"
)

// OnReady implements event.Handler.
func (c *Connection) OnReady(ev event.Events) {
	switch c.state {
	case stateClosed:
		return
	case stateConnecting:
		if !ev.Writable() || !c.finishConnect() {
			return
		}
	}
	if ev.PeerClosed() {
		c.peerClosed = true
	}
	if ev.Writable() && (c.out.size > 0 || c.transport != nil) {
		c.Flush()
	}
	if ev.Readable() && c.state != stateClosed {
		c.onReadable()
	}
}

// onReadable reads and runs the filters until the socket is drained. To be
// fair to others it gives up the turn after some rounds.
func (c *Connection) onReadable() {
	if c.reading {
		return
	}
	c.reading = true
	for round := 0; c.readOff == 0 && !c.readEnd && (c.state == stateOpen || c.state == stateClosing); round++ {
		if round == maxReadRounds {
			c.loop.Post(c.onReadable)
			break
		}
		kept := c.kept()
		if kept != nil {
			kept.Reading()
		}
		r := c.read()
		if kept != nil {
			if r.N > 0 {
				c.holdInput(kept, r.N)
			} else if !r.End && r.Err == nil {
				kept.Unread()
			}
		}
		if c.state == stateClosing {
			// Only the peer's close is awaited; what it still sends is dropped.
			c.in.Reset()
			if r.End || r.Err != nil {
				c.closeNow(RemoteClose)
				break
			}
			if !r.More {
				break
			}
			continue
		}
		c.rx += uint64(r.N)
		c.counters.count(r.N, 0)
		if c.gather && r.N < crumb {
			c.loop.Crumb()
		}
		c.readEnd = r.End
		if r.N > 0 || r.End && c.halfClose {
			c.runRead(0, r.End && c.halfClose)
			if c.state == stateClosed {
				break
			}
		}
		if r.Err != nil || r.End && !c.halfClose {
			c.fail(r.Err)
			break
		}
		if r.End {
			c.maybeFinish()
			break
		}
		if !r.More {
			break
		}
	}
	c.reading = false
}

const (
	maxReadRounds = 16
	crumb         = 1 << 10 // less than this from a connection of many streams is little
)

// ReadDisable stops reading (true) or undoes one such call (false). Calls nest.
func (c *Connection) ReadDisable(off bool) {
	if !c.Open() {
		return // what still comes is dropped
	}
	if off {
		c.readOff++
		return
	}
	if c.readOff == 0 {
		panic("network: ReadDisable(false) without ReadDisable(true)")
	}
	c.readOff--
	c.resumeReading()
}

// ReadEnabled tells whether the connection reads.
func (c *Connection) ReadEnabled() bool { return c.readOff == 0 }

// resumeReading looks again, in a later turn, at bytes that came meanwhile:
// the edge that told of them is gone.
func (c *Connection) resumeReading() {
	if c.readOff > 0 || c.state == stateClosed || c.reading {
		return
	}
	c.loop.Post(c.resumed)
}

func (c *Connection) resumed() {
	if c.readOff > 0 || c.state != stateOpen {
		return
	}
	if c.in.size > 0 || c.readEnd && c.halfClose {
		c.runRead(0, c.readEnd)
	}
	c.onReadable()
}

// Readable tells whether the descriptor has bytes that were not read yet.
func (c *Connection) Readable() bool { return c.state == stateOpen && peek(int(c.fd)) }
