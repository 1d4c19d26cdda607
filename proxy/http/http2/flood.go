package http2

import (
	"time"

	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/network"
)

// flood bounds what a peer can make this side do for little work of its own
// (CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2025-8671). Each bound has
// Envoy's default and counter.
type flood struct {
	queue outQueue

	owed        bucket // frames received that call for work or an answer
	resetFrames bucket // RST_STREAM received

	empties       uint32 // frames in a row without payload
	priorities    uint32
	windowUpdates uint32
	opened        uint32 // streams
	dataOut       uint32 // DATA frames sent

	ended        uint32 // streams
	premature    uint32 // of which the peer reset soon
	serverResets uint32 // streams that this side had to reset
	late         uint32 // of which had ended, and are counted there
}

// owedPerSecond is how many control frames a peer may send for ever. Besides,
// each DATA or HEADERS frame allows one: gRPC measures its connections by a
// PING for every batch of data.
const owedPerSecond = 100

// bucket counts what leaks away with time.
type bucket struct {
	level uint64
	since time.Duration
}

// add counts one more and tells whether that is too much.
func (b *bucket) add(now time.Duration, perSecond, most uint64) bool {
	if leaked := uint64(now-b.since) / uint64(time.Second/time.Duration(max(perSecond, 1))); leaked > 0 {
		b.level -= min(b.level, leaked)
		b.since = now
	}
	b.level++
	return b.level > most
}

// owe counts a frame that calls for an answer.
func (f *flood) owe(c *conn) {
	if f.owed.add(c.nc.Loop().Now(), owedPerSecond, uint64(c.set.MaxOutboundControlFrames)) {
		c.violate(errControlFlood)
	}
}

// resetFrame counts a RST_STREAM.
func (f *flood) resetFrame(c *conn) {
	if f.resetFrames.add(c.nc.Loop().Now(), c.set.ResetRate, c.set.ResetBurst) {
		c.violate(errResetFlood)
	}
}

// progress is a frame of a message, either way.
func (f *flood) progress() {
	if f.owed.level > 0 {
		f.owed.level--
	}
}

// payload looks at a HEADERS, CONTINUATION or DATA frame that came.
func (f *flood) payload(c *conn, length int, end bool) {
	f.progress()
	if length > 0 || end {
		f.empties = 0
		return
	}
	if f.empties++; f.empties > c.set.MaxEmptyFrames {
		c.violate(errEmptyFlood)
	}
}

// ratios checks what depends on the number of streams.
func (f *flood) ratios(c *conn) {
	if uint64(f.priorities) > uint64(c.set.MaxPriorityFrames)*(1+uint64(f.opened)) {
		c.violate(errPriorityFlood)
	}
	if uint64(f.windowUpdates) > 5+2*(uint64(f.opened)+uint64(c.set.MaxWindowUpdates)*uint64(f.dataOut)) {
		c.violate(errWindowUpdateFlood)
	}
}

// Streams that the peer resets within a second are premature, and too many of
// them are more than half of at least so many streams (Envoy's
// overload.premature_reset_total_stream_count).
const (
	prematureTotal = 500
	prematureLife  = time.Second
)

// streamEnded counts a stream's end; reset is the peer's doing.
func (f *flood) streamEnded(c *conn, s *stream, reset bool) {
	f.ended++
	if reset && c.nc.Loop().Now()-s.begun < prematureLife {
		f.premature++
	}
	f.resets(c)
}

// serverReset counts a stream that this side had to reset.
func (f *flood) serverReset(c *conn) {
	f.serverResets++
	f.resets(c)
}

// lateReset counts one that has ended before.
func (f *flood) lateReset(c *conn) {
	f.late++
	f.serverReset(c)
}

func (f *flood) resets(c *conn) {
	bad, all := f.premature+f.serverResets, f.ended+f.serverResets-f.late
	if all < prematureTotal && bad < prematureTotal/2 || all >= prematureTotal && 2*bad <= all {
		return
	}
	c.violate(errResetFlood)
}

// violate ends the connection because of a flood: the Dispatch under way
// does, or a later turn when there is none.
func (c *conn) violate(e *connError) {
	if c.violation != nil || c.phase == phaseDead {
		return
	}
	c.violation = e
	count(c.floodCounter(e))
	if !c.inside {
		c.nc.Loop().Post(func() {
			if c.phase != phaseDead {
				c.fail(e)
				c.nc.Close(network.FlushWriteAndDelay)
			}
		})
	}
}

func (c *conn) floodCounter(e *connError) *uint64 {
	n := &c.set.Counters
	switch e {
	case errOutboundFlood:
		return n.OutboundFlood
	case errControlFlood:
		return n.OutboundControlFlood
	case errEmptyFlood:
		return n.InboundEmptyFramesFlood
	case errPriorityFlood:
		return n.InboundPriorityFramesFlood
	case errWindowUpdateFlood:
		return n.InboundWindowUpdateFramesFlood
	case errHeaderFlood:
		return n.HeaderOverflow
	case errResetFlood:
		return n.TooManyPrematureResets
	}
	return nil
}

// outQueue counts the frames that wait to be written, within a factor of two:
// those of the generation that is being written and those behind it. DATA is
// not among them: it waits in its streams while the output is full.
type outQueue struct {
	wrote          uint64 // bytes given to the connection so far
	boundary       uint64 // where the older generation ends
	frames, older  uint32
	control, elder uint32 // control frames likewise
}

// add counts one frame of n bytes; waiting is what the connection had to
// write before it.
func (q *outQueue) add(n, waiting int, data, control bool) {
	if q.wrote-uint64(waiting) >= q.boundary {
		q.older, q.elder = q.frames, q.control
		q.frames, q.control = 0, 0
		q.boundary = q.wrote
		if waiting == 0 {
			q.older, q.elder = 0, 0
		}
	}
	q.wrote += uint64(n)
	if data {
		return
	}
	q.frames++
	if control {
		q.control++
	}
}

// queued counts a frame that was written to the connection's output.
func (c *conn) queued(kind http2.FrameType, n, waiting int) {
	control := kind == http2.FramePing || kind == http2.FrameSettings || kind == http2.FrameRSTStream
	q := &c.flood.queue
	q.add(n, waiting, kind == http2.FrameData, control)
	if q.frames+q.older > c.set.MaxOutboundFrames {
		c.violate(errOutboundFlood)
	}
	if q.control+q.elder > c.set.MaxOutboundControlFrames {
		c.violate(errControlFlood)
	}
}
