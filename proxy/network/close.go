package network

import (
	"errors"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CloseType tells what becomes of bytes not yet written.
type CloseType uint8

const (
	NoFlush            CloseType = iota // dropped
	FlushWrite                          // written, then closed
	FlushWriteAndDelay                  // written, then the peer is given time to close first, so that it reads them
	FlushWriteAndEnd                    // the same, but this side ends at once, so that the peer need not guess
	Abort                               // dropped, and the peer is sent a reset
)

// delayedClose is Envoy's default delayed_close_timeout.
const delayedClose = time.Second

// Close closes the connection. Its callbacks are told before Close returns,
// unless bytes have to be written out first.
func (c *Connection) Close(how CloseType) {
	if c.state == stateClosed || c.state == stateClosing && how != NoFlush && how != Abort {
		return
	}
	if how == Abort {
		unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	if how == NoFlush || how == Abort || c.state == stateConnecting {
		c.closeNow(LocalClose)
		return
	}
	if c.closeDelay == 0 {
		how = FlushWrite
	}
	// What was written before the handshake was done may wait for its end.
	waits := how != FlushWrite && c.out.size > 0
	if c.transport != nil && !c.transport.CanFlushClose() && !waits || c.out.size == 0 && how == FlushWrite && c.transport == nil {
		c.closeNow(LocalClose)
		return
	}
	c.state, c.closing, c.writeEnd = stateClosing, how, how != FlushWriteAndDelay
	// A peer that reads nothing must not hold the connection for ever.
	r := c.rarely()
	r.delay = c.loop.NewTimer(c.onCloseDelay)
	r.delay.Enable(c.patience())
	c.in.Reset()
	c.readOff = 0
	c.flushLater()
}

// patience is how long a peer that makes no progress holds a closing
// connection.
func (c *Connection) patience() time.Duration {
	if c.closeDelay == 0 {
		return delayedClose
	}
	return time.Duration(c.closeDelay) * time.Millisecond
}

func (c *Connection) onCloseDelay() {
	c.slowPeer = true
	c.closeNow(LocalClose)
}

// CloseBecause is Close with the reason that FailureReason tells from then on.
func (c *Connection) CloseBecause(how CloseType, why string) {
	if c.state != stateClosed {
		c.setFailure(why)
	}
	c.Close(how)
}

// EndWrite ends this side of the stream behind what is written.
func (c *Connection) EndWrite() {
	if c.state == stateClosed || c.writeEnd {
		return
	}
	c.writeEnd = true
	c.flushLater()
}

// maybeFinish does what was to follow the last byte of output.
func (c *Connection) maybeFinish() {
	if c.out.size > 0 || c.state == stateClosed {
		return
	}
	if c.writeEnd && !c.shutDown {
		c.shutDown = true
		if c.state == stateClosing && c.closing == FlushWrite {
			c.closeNow(LocalClose)
			return
		}
		c.forget()
		shutdown(int(c.fd), unix.SHUT_WR)
	}
	if c.state == stateClosing {
		// What the peer still sends is read and dropped, so that closing
		// does not reset the connection under our last answer.
		if !c.reading {
			c.onReadable()
		}
		return
	}
	if c.shutDown && c.readEnd {
		c.closeNow(RemoteClose)
	}
}

func (c *Connection) closeNow(ev ConnectionEvent) {
	if c.state == stateClosed {
		return
	}
	c.state = stateClosed
	if c.transport != nil {
		if why := c.FailureReason(); why != "" {
			c.setFailure(why)
		}
		c.transport.Close(c)
	}
	if c.fd >= 0 {
		c.forget()
		c.loop.Forget(int(c.fd))
		closeFD(int(c.fd))
	}
	c.in.Reset()
	c.out.Reset()
	if c.rare != nil && c.rare.delay != nil {
		c.rare.delay.Release()
	}
	for _, cb := range c.callbacks {
		cb.OnEvent(ev)
	}
	c.callbacks = nil
}

// SetDelayedClose sets how long Close waits for the peer when it is to: Envoy's
// delayed_close_timeout, in milliseconds; 0 makes that FlushWrite.
func (c *Connection) SetDelayedClose(ms uint32) { c.closeDelay = ms }

// DelayedCloseTimedOut tells that the connection was closed because its peer
// did not, after FlushWriteAndDelay.
func (c *Connection) DelayedCloseTimedOut() bool { return c.slowPeer }

// fail closes the connection because the peer or the transport ended it.
func (c *Connection) fail(err error) {
	c.peerReset = errors.Is(err, syscall.ECONNRESET)
	if err != nil && !errors.Is(err, io.EOF) && c.FailureReason() == "" && !errors.Is(err, syscall.ECONNRESET) {
		c.setFailure(err.Error())
	}
	if err != nil {
		c.closeNow(RemoteClose)
		return
	}
	// The peer ended in order; answers that are already written still go out.
	if c.out.size > 0 {
		c.Flush()
	}
	if c.state != stateClosed {
		c.closeNow(RemoteClose)
	}
}
