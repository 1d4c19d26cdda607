package xds

import (
	"math/rand/v2"
	"time"
)

// Envoy's back-off between streams (grpc_stream.h).
const (
	backoffBase = 500 * time.Millisecond
	backoffMax  = 30 * time.Second
	// A stream that lived this long was a good one. A shorter one does not
	// reset the back-off, or a server that answers and hangs up would have us
	// apply its configuration in a loop.
	backoffReset = 10 * time.Second
)

// backoff gives growing delays with jitter.
type backoff struct{ attempt int }

// next is the delay before the next attempt: half of it fixed, half random.
func (b *backoff) next() time.Duration {
	d := min(backoffBase<<min(b.attempt, 10), backoffMax)
	b.attempt++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.attempt = 0 }
