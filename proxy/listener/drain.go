package listener

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// DrainDecision tells whether a connection should be closed by its protocol's
// own means (Connection: close, GOAWAY) when it next has the chance.
type DrainDecision interface {
	// DrainClose is called on workers, at the end of requests.
	DrainClose(l *network.Loop) bool
}

// drain is one thing that drains: a chain, its listener, the whole server.
// What contains it drains it as well.
type drain struct {
	parent *drain
	start  atomic.Int64 // UNIX nanoseconds; 0: not draining
	window time.Duration
	// immediate is Envoy's --drain-strategy; otherwise connections are closed
	// with a probability that grows to 1 over the window, so that clients do
	// not all come back at once.
	immediate bool
}

// DrainClose implements DrainDecision.
func (d *drain) DrainClose(l *network.Loop) bool {
	for ; d != nil; d = d.parent {
		if start := d.start.Load(); start != 0 && d.closes(l.Time().UnixNano()-start) {
			return true
		}
	}
	return false
}

func (d *drain) closes(elapsed int64) bool {
	if d.immediate || elapsed >= int64(d.window) {
		return true
	}
	return elapsed > rand.Int64N(int64(d.window))
}

func (d *drain) begin(now time.Time) { d.start.CompareAndSwap(0, now.UnixNano()) }

// child is a drain that d contains.
func (d *drain) child() *drain {
	return &drain{parent: d, window: d.window, immediate: d.immediate}
}
