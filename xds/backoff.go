package xds

import (
	"math/rand/v2"
	"time"
)

// backoff gives growing delays with jitter.
type backoff struct {
	base, max time.Duration
	attempt   int
}

// streamBackoff is Envoy's between streams (grpc_stream.h).
func streamBackoff() backoff { return backoff{base: 500 * time.Millisecond, max: 30 * time.Second} }

// nackBackoff slows a server that answers a NACK with the same resources at
// once, as go-control-plane does. It stays short: such a server sends the
// mended resources only in answer to the NACK.
func nackBackoff() backoff { return backoff{base: 250 * time.Millisecond, max: 2 * time.Second} }

// A stream that lived this long was a good one. A shorter one does not reset
// the back-off, or a server that answers and hangs up would have us apply its
// configuration in a loop.
const goodStream = 10 * time.Second

// next is the delay before the next attempt: half of it fixed, half random.
func (b *backoff) next() time.Duration {
	d := min(b.base<<min(b.attempt, 16), b.max)
	b.attempt++
	return d/2 + rand.N(d/2)
}

func (b *backoff) reset() { b.attempt = 0 }
