package network

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/event"
)

// ConnectionEvent is a change in a connection's life.
type ConnectionEvent uint8

const (
	Connected   ConnectionEvent = iota // a client connection stands
	RemoteClose                        // the peer closed or the transport failed
	LocalClose                         // closed from this side
)

// CloseType tells what becomes of bytes not yet written.
type CloseType uint8

const (
	NoFlush            CloseType = iota // dropped
	FlushWrite                          // written, then closed
	FlushWriteAndDelay                  // written, then the peer is given time to close first, so that it reads them
	Abort                               // dropped, and the peer is sent a reset
	// FlushAndLinger is FlushWriteAndDelay that does not end this side before
	// the delay is over: as Envoy leaves a connection whose response was cut
	// off.
	FlushAndLinger
)

// ConnectionCallbacks is told of a connection's life.
type ConnectionCallbacks interface {
	OnEvent(ConnectionEvent)
	// OnAboveWriteBufferHighWatermark asks whoever produces the bytes to
	// stop; OnBelowWriteBufferLowWatermark to go on.
	OnAboveWriteBufferHighWatermark()
	OnBelowWriteBufferLowWatermark()
}

type connState uint8

const (
	stateConnecting connState = iota
	stateOpen
	stateClosing // written out, then closed
	stateClosed
)

// DefaultBufferLimit is Envoy's per_connection_buffer_limit_bytes.
const DefaultBufferLimit = 1 << 20

// delayedClose is Envoy's default delayed_close_timeout.
const delayedClose = time.Second

// ByteCounters are where a connection counts its bytes as they pass. They
// belong to the connection's worker and are shared with its neighbours.
type ByteCounters struct {
	Rx, Tx *uint64
	// Besides counts the same bytes, and goes on when SetCounters replaces
	// the counters that it is with.
	Besides *ByteCounters
}

// Connection is one stream socket on a loop.
type Connection struct {
	loop    *Loop
	fd      int32
	state   connState
	closing CloseType

	readOff    uint8 // ReadDisable count
	readEnd    bool  // the peer has ended its side
	writeEnd   bool  // EndWrite was called
	shutDown   bool  // and carried out
	halfClose  bool
	flushing   bool // queued with the dispatcher
	gather     bool // to be flushed at the turn's end
	aboveHigh  bool
	peerReset  bool // closed by a reset
	peerClosed bool // the kernel has told that the stream's end is buffered
	reading    bool
	slowPeer   bool // the delay of FlushWriteAndDelay has run out

	bigReads   uint8  // how many reads in a row filled their room
	copies     uint8  // reads to go before a pipe is tried again
	closeDelay uint32 // of FlushWriteAndDelay, in milliseconds; 0: none

	splice int64 // bytes that may pass through a pipe

	limit     uint32 // write buffer high watermark in bytes; 0: none
	transport TransportSocket
	in, out   Buffer
	callbacks []ConnectionCallbacks

	filters []ReadCallbacks
	// Most connections have one filter and two who watch it: their places
	// are here, which saves two allocations.
	firstFilter    [1]ReadCallbacks
	firstCallbacks [2]ConnectionCallbacks

	remote   Address
	local    *Address // shared by the connections of a listener
	counters *ByteCounters
	rx, tx   uint64
	id       uint64
	opened   time.Duration
	rare     *rare // nil until needed

	// Info is for the connection's owner: what its listener filters and
	// transport have learned, nil until there is something.
	Info *Info
}

// rare is what few connections need.
type rare struct {
	writeFilters []WriteFilter
	failure      string // why the transport failed
	delay        *event.Timer
}

func (c *Connection) rarely() *rare {
	if c.rare == nil {
		c.rare = &rare{}
	}
	return c.rare
}

func (c *Connection) writeFilters() []WriteFilter {
	if c.rare == nil {
		return nil
	}
	return c.rare.writeFilters
}

func (c *Connection) setFailure(s string) { c.rarely().failure = s }

// Options are what a new connection starts with.
type Options struct {
	Transport   TransportSocket
	BufferLimit uint32        // bytes; 0 is no limit
	Counters    *ByteCounters // nil: not counted
	HalfClose   bool          // deliver the peer's end of stream instead of closing
	ID          uint64
}

// NewServerConnection takes over an accepted socket (non-blocking).
func NewServerConnection(l *Loop, fd int, local, remote Address, o Options) (*Connection, error) {
	c := &Connection{}
	c.InitServer(l, fd, local, remote, o)
	return c, c.Register()
}

// InitServer makes c, which lies inside its owner's structure, a server
// connection of an accepted socket (non-blocking). Register or TakeOver must
// follow.
func (c *Connection) InitServer(l *Loop, fd int, local, remote Address, o Options) {
	c.init(l, fd, o)
	c.state, c.local, c.remote = stateOpen, l.share(local), remote
}

// Register has the loop watch c.
func (c *Connection) Register() error {
	if err := c.loop.Add(int(c.fd), c); err != nil {
		return err
	}
	c.connected()
	return nil
}

// TakeOver is Register for a descriptor that another handler has had
// registered, and which gives up the edges that it has seen. What they told
// of is read in this call, so the filters must be there.
func (c *Connection) TakeOver(seen event.Events) {
	c.loop.Replace(int(c.fd), c)
	c.connected()
	c.OnReady(seen)
}

func (c *Connection) connected() {
	if c.transport != nil {
		c.transport.Connected(c)
	}
}

func newConnection(l *Loop, fd int, o Options) *Connection {
	c := &Connection{}
	c.init(l, fd, o)
	return c
}

func (c *Connection) init(l *Loop, fd int, o Options) {
	c.loop, c.fd, c.transport, c.limit, c.counters = l, int32(fd), o.Transport, o.BufferLimit, o.Counters
	c.halfClose, c.id, c.opened = o.HalfClose, o.ID, l.Now()
	c.closeDelay = uint32(delayedClose / time.Millisecond)
	c.in.Init(&l.Pool)
	c.out.Init(&l.Pool)
	c.callbacks = c.firstCallbacks[:0]
}

// Loop is the connection's loop.
func (c *Connection) Loop() *Loop { return c.loop }

// ID is the number that the connection has in logs.
func (c *Connection) ID() uint64 { return c.id }

// RemoteAddress is the peer's address, as restored by listener filters.
func (c *Connection) RemoteAddress() Address { return c.remote }

// LocalAddress is the local address, as restored by listener filters.
func (c *Connection) LocalAddress() Address {
	if c.local == nil {
		return Address{}
	}
	return *c.local
}

// Opened is when the connection was made, by the loop's clock.
func (c *Connection) Opened() time.Duration { return c.opened }

// BytesReceived and BytesSent count the connection's bytes on the wire.
func (c *Connection) BytesReceived() uint64 { return c.rx }
func (c *Connection) BytesSent() uint64     { return c.tx }

// Transport is the connection's transport socket, nil when it is plain.
func (c *Connection) Transport() TransportSocket { return c.transport }

// FailureReason says why the transport failed, or "".
func (c *Connection) FailureReason() string {
	if c.rare != nil && c.rare.failure != "" {
		return c.rare.failure
	}
	if c.transport != nil {
		return c.transport.FailureReason()
	}
	return ""
}

// Open tells whether the connection can still carry bytes.
func (c *Connection) Open() bool { return c.state == stateOpen || c.state == stateConnecting }

// Connecting tells whether the TCP connection does not stand yet.
func (c *Connection) Connecting() bool { return c.state == stateConnecting }

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

// SetBufferLimit sets the write buffer's high watermark in bytes.
func (c *Connection) SetBufferLimit(n uint32) { c.limit = n }

// BufferLimit is that watermark.
func (c *Connection) BufferLimit() uint32 { return c.limit }

// SetCounters sets where the connection's bytes are counted from now on.
func (c *Connection) SetCounters(n *ByteCounters) {
	if c.counters != nil && c.counters.Besides != nil {
		with := *n
		with.Besides = c.counters.Besides
		n = &with
	}
	c.counters = n
}

func (n *ByteCounters) count(rx, tx int) {
	for ; n != nil; n = n.Besides {
		if rx > 0 && n.Rx != nil {
			*n.Rx += uint64(rx)
		}
		if tx > 0 && n.Tx != nil {
			*n.Tx += uint64(tx)
		}
	}
}

// EnableHalfClose delivers the peer's end of stream to the filters instead of
// closing the connection.
func (c *Connection) EnableHalfClose(on bool) { c.halfClose = on }

// SetDelayedClose sets how long FlushWriteAndDelay waits for the peer: Envoy's
// delayed_close_timeout, in milliseconds; 0 makes it FlushWrite.
func (c *Connection) SetDelayedClose(ms uint32) { c.closeDelay = ms }

// DelayedCloseTimedOut tells that the connection was closed because its peer
// did not, after FlushWriteAndDelay.
func (c *Connection) DelayedCloseTimedOut() bool { return c.slowPeer }

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

// Readable tells whether the descriptor has bytes that were not read yet.
func (c *Connection) Readable() bool { return c.state == stateOpen && peek(int(c.fd)) }

// AboveHighWatermark tells whether the write buffer is over its limit.
func (c *Connection) AboveHighWatermark() bool { return c.aboveHigh }

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
		r := c.read()
		c.rx += uint64(r.N)
		c.counters.count(r.N, 0)
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

// AllowSplice tells that the next n bytes of input are passed on without
// anybody looking at them, so they may stay in the kernel. 0 withdraws it.
func (c *Connection) AllowSplice(n int64) { c.splice = n }

// Splicable tells whether the connection carries plain bytes that one filter
// reads and none sees on their way out.
func (c *Connection) Splicable() bool {
	return c.transport == nil && len(c.filters) == 1 && len(c.writeFilters()) == 0
}

// PeerReset tells, of a closed connection, that the peer had reset it.
func (c *Connection) PeerReset() bool { return c.peerReset }

// SetNoDelay sets TCP_NODELAY, which Envoy has on by default.
func (c *Connection) SetNoDelay() {
	if !c.remote.IsPipe() {
		unix.SetsockoptInt(int(c.fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
}

func (c *Connection) String() string {
	return fmt.Sprintf("connection %d (%v to %v)", c.id, c.remote, c.LocalAddress())
}
