package throttle

import (
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// Rate tells how much may pass.
type Rate interface {
	// Take takes up to want bytes of what may pass now.
	Take(want int) int
	// Next is how long it takes until more may.
	Next() time.Duration
}

// slices is how many times a second bytes may pass. A sender that pauses saves
// up at most a second's worth of them.
const slices = 16

const slice = time.Second / slices

// steady is a rate of one message's own.
type steady struct {
	loop     *network.Loop
	perSlice int           // bytes
	saved    int           // bytes that may pass now
	filled   time.Duration // up to when they are counted
}

// PerSecond is a rate for one message, in bytes a second (at least 1).
func PerSecond(loop *network.Loop, bytes uint64) Rate {
	n := int(max(1, bytes/slices))
	return &steady{loop: loop, perSlice: n, saved: n, filled: loop.Now()}
}

// Take implements Rate.
func (r *steady) Take(want int) int {
	passed := (r.loop.Now() - r.filled) / slice
	r.filled += passed * slice
	r.saved = min(slices*r.perSlice, r.saved+int(min(passed, slices))*r.perSlice)
	n := min(want, r.saved)
	r.saved -= n
	return n
}

// Next implements Rate.
func (r *steady) Next() time.Duration { return r.filled + slice - r.loop.Now() }
