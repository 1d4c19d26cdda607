package network

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/event"
)

type connState uint8

const (
	stateConnecting connState = iota
	stateOpen
	stateClosing // written out, then closed
	stateClosed
)

// DefaultBufferLimit is Envoy's per_connection_buffer_limit_bytes.
const DefaultBufferLimit = 1 << 20

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
	dialed    uint32 // microseconds that connecting took; 0: not connected, or accepted
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
	Brings      *Brought      // to an internal listener; may be nil
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

// Connected is when connecting was done, by the loop's clock; 0 before that, and
// of an accepted connection.
func (c *Connection) Connected() time.Duration {
	if c.dialed == 0 {
		return 0
	}
	return c.opened + time.Duration(c.dialed)*time.Microsecond
}

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

// SetBufferLimit sets the write buffer's high watermark in bytes.
func (c *Connection) SetBufferLimit(n uint32) { c.limit = n }

// BufferLimit is that watermark.
func (c *Connection) BufferLimit() uint32 { return c.limit }

// EnableHalfClose delivers the peer's end of stream to the filters instead of
// closing the connection.
func (c *Connection) EnableHalfClose(on bool) { c.halfClose = on }

// AboveHighWatermark tells whether the write buffer is over its limit.
func (c *Connection) AboveHighWatermark() bool { return c.aboveHigh }

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

var (
	_ event.Handler = (*Connection)(nil)
	_ event.Flusher = (*Connection)(nil)
)
