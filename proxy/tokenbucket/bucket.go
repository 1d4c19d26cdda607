package tokenbucket

import (
	"math"
	"sync/atomic"
	"time"
)

// base is where buckets count their time from.
var base = time.Now()

// Bucket is a token bucket. It is full at first.
type Bucket struct {
	max  float64
	rate float64 // tokens a second
	// since is the time, in seconds after base as a float64, at which the
	// bucket would have been empty and left to fill.
	since atomic.Uint64
	now   func() float64 // the clock, seconds after base
}

// New makes a bucket of max tokens that gets perFill of them in each interval.
func New(maxTokens, perFill uint32, interval time.Duration) *Bucket {
	b := &Bucket{max: float64(maxTokens), rate: float64(perFill) / interval.Seconds(), now: clock}
	b.reset()
	return b
}

func clock() float64 { return time.Since(base).Seconds() }

func (b *Bucket) reset() { b.since.Store(math.Float64bits(b.now() - b.max/b.rate)) }

// Clone is a full bucket of the same size and rate.
func (b *Bucket) Clone() *Bucket {
	c := &Bucket{max: b.max, rate: b.rate, now: b.now}
	c.reset()
	return c
}

// Take takes n tokens, or none when there are fewer.
func (b *Bucket) Take(n uint64) bool {
	now := b.now()
	for {
		old := b.since.Load()
		tokens := b.tokensAt(now, math.Float64frombits(old))
		if tokens < float64(n) {
			return false
		}
		since := now - (tokens-float64(n))/b.rate
		if b.since.CompareAndSwap(old, math.Float64bits(since)) {
			return true
		}
	}
}

// TakeSome takes up to n tokens and returns how many.
func (b *Bucket) TakeSome(n uint64) uint64 {
	now := b.now()
	for {
		old := b.since.Load()
		tokens := b.tokensAt(now, math.Float64frombits(old))
		got := min(n, uint64(max(0, tokens)))
		if got == 0 {
			return 0
		}
		since := now - (tokens-float64(got))/b.rate
		if b.since.CompareAndSwap(old, math.Float64bits(since)) {
			return got
		}
	}
}

func (b *Bucket) tokensAt(now, since float64) float64 { return min(b.max, (now-since)*b.rate) }

// Rate is how many tokens the bucket gets in a second.
func (b *Bucket) Rate() float64 { return b.rate }

// Max is how many tokens the bucket holds when it is full.
func (b *Bucket) Max() uint64 { return uint64(b.max) }

// Remaining is how many tokens are there now.
func (b *Bucket) Remaining() uint64 {
	return uint64(max(0, b.tokensAt(b.now(), math.Float64frombits(b.since.Load()))))
}

// NextToken is how long it takes until there is a token; 0 when there is one.
func (b *Bucket) NextToken() time.Duration {
	missing := 1 - b.tokensAt(b.now(), math.Float64frombits(b.since.Load()))
	return time.Duration(max(0, missing/b.rate) * float64(time.Second))
}
