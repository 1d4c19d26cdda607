package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// role is what differs between the two ends of a connection.
type role interface {
	// begin finds or makes the stream of a HEADERS frame. A nil stream has
	// the header block decoded and dropped.
	begin(f frame) (*stream, *connError)
	// head is called when a stream's header section has been decoded.
	head(s *stream, end bool) *connError
	// finished tells that s ended both ways in order, removed that it has
	// left the table.
	finished(s *stream)
	removed(s *stream)
	// reset tells that s is about to leave it otherwise.
	reset(r http.ResetReason)
	goAway(last uint32, code http2.ErrCode)
	maxStreams(n uint32)
	opened() // the peer's first SETTINGS have come
}

// phase is what comes next on the connection.
type phase uint8

const (
	phasePreface  phase = iota // the client's preface
	phaseSettings              // the first frame
	phaseFrames
	phaseDead // nothing ever again: what comes is dropped
)

// conn is one HTTP/2 connection, whichever end of it.
type conn struct {
	nc      *network.Connection
	set     *Settings
	role    role
	streams map[uint32]*stream

	// What is being read.
	phase    phase
	frame    frame          // the DATA frame whose payload is coming
	dataLeft int            // of it
	padLeft  int            // and behind it
	reading  *stream        // its stream, nil to drop it
	data     network.Buffer // on its way to the reader
	dec      hpackDecoder
	block    block

	// What is sent.
	enc        hpackEncoder
	sendWindow int32
	peerWindow int32 // a new stream's sendWindow
	maxFrame   int   // the peer's SETTINGS_MAX_FRAME_SIZE
	waiting    waitList
	sending    bool // within sendWaiting
	resuming   bool // resume is posted

	// What the peer may send.
	recvWindow int32
	unacked    int32

	lastPeer   uint32 // highest stream that the peer has begun
	goAwayLast uint32 // the last stream named by our GOAWAY
	resets     resetRing
	flood      flood
	violation  *connError // a flood, to end the connection
	inside     bool       // within Dispatch
	failed     bool       // ended because the peer broke the protocol
	keepAlive  *keepAlive
}

func (c *conn) init(nc *network.Connection, set *Settings, r role) {
	c.nc, c.set, c.role = nc, set, r
	c.data.Init(&nc.Loop().Pool)
	c.dec.max, c.dec.allowed = DefaultTableSize, max(set.TableSize, DefaultTableSize)
	c.dec.longest = maxString(set)
	c.enc.max = DefaultTableSize
	c.enc.setMax(min(set.TableSize, DefaultTableSize))
	c.sendWindow, c.peerWindow, c.maxFrame = initWindow, initWindow, minMaxFrame
	c.recvWindow = initWindow
	c.goAwayLast = maxStreamID
	nc.GatherWrites()
}

// maxString bounds one name or value: a longer one can't be taken anyway.
func maxString(set *Settings) int { return 2*set.maxHead() + 16<<10 }

// Protocol implements http.ServerConnection and http.ClientConnection.
func (c *conn) Protocol() http.ProtocolVersion { return http.HTTP2 }

// fail ends the connection by GOAWAY.
func (c *conn) fail(e *connError) error {
	if c.phase != phaseDead {
		c.phase, c.failed = phaseDead, true
		if !e.quiet {
			c.writeGoAway(c.lastPeer, e.code, e.msg)
		}
	}
	return &http.CodecError{Details: e.details, Others: detailCodecError, Msg: "http/2 protocol error: " + e.msg}
}

// ShutdownNotice implements http.ServerConnection (RFC 9113 section 6.8).
func (c *conn) ShutdownNotice() {
	if c.phase != phaseDead {
		c.writeGoAway(maxStreamID, http2.ErrCodeNo, "")
	}
}

// GoAway implements http.ServerConnection.
func (c *conn) GoAway() {
	if c.phase != phaseDead && c.goAwayLast == maxStreamID {
		c.goAwayLast = c.lastPeer
		count(c.set.Counters.GoAwaySent)
		c.writeGoAway(c.lastPeer, http2.ErrCodeNo, "")
	}
}

// OnConnectionClosed lets go of everything. Streams that still have a user are
// reset.
func (c *conn) OnConnectionClosed() {
	c.phase = phaseDead
	reason := http.ConnectionTermination
	if c.failed {
		reason = http.ProtocolError
	}
	for _, s := range c.streams {
		s.tell(reason)
	}
	c.data.Reset()
	c.reading = nil
	if c.keepAlive != nil {
		c.keepAlive.timer.Release()
	}
}

// OnAboveWriteBufferHighWatermark implements http.ServerConnection: the peer
// does not read, whatever the stream.
func (c *conn) OnAboveWriteBufferHighWatermark() {
	for _, s := range c.streams {
		s.above()
	}
}

// OnBelowWriteBufferLowWatermark implements http.ServerConnection.
func (c *conn) OnBelowWriteBufferLowWatermark() {
	c.sendWaiting()
	if c.nc.AboveHighWatermark() {
		return
	}
	for _, s := range c.streams {
		s.belowIfRoom()
	}
}

// resumeLater has data that was held delivered in a later turn.
func (c *conn) resumeLater() {
	if !c.resuming {
		c.resuming = true
		c.nc.Loop().Post(c.resume)
	}
}

func (c *conn) resume() {
	c.resuming = false
	for _, s := range c.streams {
		if s.readOff == 0 && (s.in.Len() > 0 || s.inEnd) {
			c.data.Move(&s.in)
			c.deliver(s, &c.data)
		}
	}
}

// resetRing remembers the streams that this side reset last: the peer may not
// know yet.
type resetRing struct {
	ids []uint32
	at  int
}

const rememberedResets = 64

func (r *resetRing) add(id uint32) {
	if len(r.ids) < rememberedResets {
		r.ids = append(r.ids, id)
		return
	}
	r.ids[r.at] = id
	r.at = (r.at + 1) % rememberedResets
}

func (r *resetRing) forget(id uint32) {
	for i, x := range r.ids {
		if x == id {
			r.ids[i] = 0
		}
	}
}

func (r *resetRing) has(id uint32) bool {
	for _, x := range r.ids {
		if x == id {
			return true
		}
	}
	return false
}

var _ event.Deleter = (*stream)(nil)
