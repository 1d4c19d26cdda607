package adaptiveconcurrency

import (
	"sync/atomic"
	"time"
)

// histogram counts latencies by microseconds, to two digits. Any goroutine may
// add.
type histogram struct {
	buckets [decade * (decades + 1)]atomic.Uint32
}

const (
	decade  = 100 // a bucket for each two digits; those below 10 serve the first decade only
	decades = 7   // up to 1000 seconds; longer ones are taken for that
)

func (h *histogram) add(d time.Duration) { h.buckets[bucketOf(d)].Add(1) }

// bucketOf: the values below 100 µs have buckets of their own.
func bucketOf(d time.Duration) int {
	v, e := max(1, d.Microseconds()), 0
	for ; v >= decade; v /= 10 {
		if e++; e > decades {
			return len(histogram{}.buckets) - 1
		}
	}
	return e*decade + int(v)
}

// valueOf is the middle of a bucket.
func valueOf(bucket int) time.Duration {
	v := time.Duration(bucket%decade) * time.Microsecond
	if bucket < decade {
		return v
	}
	v += time.Microsecond / 2
	for range bucket / decade {
		v *= 10
	}
	return v
}

// take is the latency below which a share of those counted are, and forgets
// them all; any is false when there were none.
func (h *histogram) take(share float64) (_ time.Duration, any bool) {
	var counts [len(h.buckets)]uint32
	total := uint64(0)
	for i := range h.buckets {
		counts[i] = h.buckets[i].Swap(0)
		total += uint64(counts[i])
	}
	if total == 0 {
		return 0, false
	}
	rank := max(1, uint64(share*float64(total)+0.5))
	for i, n := range counts {
		if uint64(n) >= rank {
			return valueOf(i), true
		}
		rank -= uint64(n)
	}
	return valueOf(len(counts) - 1), true
}
