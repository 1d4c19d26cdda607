package throttle

import (
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
)

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

// Body is a message's body on its way.
type Body struct {
	rate  Rate
	out   Out
	timer event.Timer
	limit int // of what waits; 0: none

	waiting  network.Buffer
	scratch  network.Buffer
	end      bool
	trailers bool
	held     bool
	stopped  bool
}

// New makes a Body that passes at a rate, and holds its sender above limit
// waiting bytes (0: never).
func New(loop *network.Loop, rate Rate, limit uint32, out Out) *Body {
	b := &Body{rate: rate, out: out, limit: int(limit)}
	b.waiting.Init(&loop.Pool)
	b.scratch.Init(&loop.Pool)
	loop.InitTimer(&b.timer, b.pass)
	return b
}

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

// pass lets go what the rate allows.
func (b *Body) pass() {
	if n := b.rate.Take(b.waiting.Len()); n > 0 {
		b.scratch.MoveN(&b.waiting, n)
	}
	done := b.waiting.Len() == 0
	if !done {
		b.timer.Enable(b.rate.Next())
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
