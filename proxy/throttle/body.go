package throttle

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

// slices is how many times a second bytes may pass. A sender that pauses saves
// up at most a second's worth of them.
const slices = 16

const slice = time.Second / slices

// Out is where a Body's data goes.
type Out interface {
	// Pass takes data at its time. The body is over when end is true.
	Pass(b *network.Buffer, end bool)
	// PassTrailers is called when all data has passed, for a body that ended
	// with trailers.
	PassTrailers()
	// Hold asks the sender to wait, Release to go on.
	Hold()
	Release()
}

// Body is a message's body on its way. The zero value is not usable; see New.
type Body struct {
	loop  *network.Loop
	out   Out
	timer event.Timer

	perSlice int // bytes
	saved    int // slices that may pass now
	filled   time.Duration
	limit    int // of what waits; 0: none

	waiting  network.Buffer
	scratch  network.Buffer
	end      bool
	trailers bool
	held     bool
	stopped  bool
}

// New makes a Body for bytesPerSecond (at least 1), which holds its sender
// above limit waiting bytes (0: never).
func New(loop *network.Loop, bytesPerSecond uint64, limit uint32, out Out) *Body {
	b := &Body{loop: loop, out: out, perSlice: int(max(1, bytesPerSecond/slices)), saved: 1, filled: loop.Now(), limit: int(limit)}
	b.waiting.Init(&loop.Pool)
	b.scratch.Init(&loop.Pool)
	loop.InitTimer(&b.timer, b.pass)
	return b
}

// Waiting is the number of bytes that wait.
func (b *Body) Waiting() int { return b.waiting.Len() }

// Write takes all of data.
func (b *Body) Write(data *network.Buffer, end bool) {
	b.waiting.Move(data)
	b.end = end
	if b.limit > 0 && b.waiting.Len() > b.limit && !b.held {
		b.held = true
		b.out.Hold()
	}
	if !b.timer.Enabled() {
		b.timer.Enable(0)
	}
}

// Trailers ends the body with trailers. It returns true when nothing waits
// and they can pass at once.
func (b *Body) Trailers() bool {
	if b.waiting.Len() == 0 {
		return true
	}
	b.trailers = true
	return false
}

// Stop drops what waits.
func (b *Body) Stop() {
	b.stopped = true
	b.timer.Release()
	b.waiting.Reset()
	b.scratch.Reset()
}

// pass lets go what the time allows.
func (b *Body) pass() {
	b.fill()
	for ; b.saved > 0 && b.waiting.Len() > 0; b.saved-- {
		b.scratch.MoveN(&b.waiting, min(b.perSlice, b.waiting.Len()))
	}
	done := b.waiting.Len() == 0
	if !done {
		b.timer.Enable(b.filled + slice - b.loop.Now())
	}
	if last := done && b.end; last || b.scratch.Len() > 0 {
		b.out.Pass(&b.scratch, last)
	}
	if b.stopped {
		return
	}
	if done && b.trailers {
		b.trailers = false
		b.out.PassTrailers()
		return
	}
	if b.held && b.waiting.Len() <= b.limit/2 {
		b.held = false
		b.out.Release()
	}
}

// fill counts the slices that have passed.
func (b *Body) fill() {
	passed := (b.loop.Now() - b.filled) / slice
	b.filled += passed * slice
	b.saved = int(min(slices, time.Duration(b.saved)+passed))
}
