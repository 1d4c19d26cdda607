package stats

import "math/bits"

// Histogram counts values in log-linear buckets of two significant digits
// (10, 11, … 99, 100, 110, …), the buckets of Envoy's circllhist. Between two
// flushes it holds what its owner recorded; [Store.Flush] moves that into the
// interval and the total that the pages show.
type Histogram struct{ live *liveBins }

const (
	decades       = 20 // 10^0 to 10^19: all of uint64
	binsPerDecade = 90 // 1.0 to 9.9
)

// liveBins allocates a decade when a value first falls into it, so a histogram
// of milliseconds holds two or three.
type liveBins struct {
	zero   uint64
	decade [decades]*[binsPerDecade]uint64
}

var pow10 = func() (p [decades]uint64) {
	p[0] = 1
	for i := 1; i < decades; i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

// Record counts one value, in the unit that the histogram's name says. It
// allocates only for a decade never seen before.
func (h *Histogram) Record(v uint64) {
	if h.live == nil {
		h.live = new(liveBins)
	}
	if v == 0 {
		h.live.zero++
		return
	}
	d, i := binOf(v)
	if h.live.decade[d] == nil {
		h.live.decade[d] = new([binsPerDecade]uint64)
	}
	h.live.decade[d][i]++
}

// binOf gives the decade of v > 0 and the bucket within it.
func binOf(v uint64) (decade int, i uint64) {
	if v < 10 {
		return 0, v*10 - 10
	}
	d := bits.Len64(v) * 1233 >> 12 // log10 from log2, at most one too large
	if v < pow10[d] {
		d--
	}
	return d, v/pow10[d-1] - 10
}

// take appends what was recorded to dst in the order of the buckets, and empties h.
func (h *Histogram) take(dst []bin) []bin {
	if h.live == nil {
		return dst
	}
	if h.live.zero > 0 {
		dst = append(dst, bin{0, h.live.zero})
		h.live.zero = 0
	}
	for d, counts := range h.live.decade {
		if counts == nil {
			continue
		}
		for i, n := range counts {
			if n > 0 {
				dst = append(dst, bin{uint16(1 + d*binsPerDecade + i), n})
				counts[i] = 0
			}
		}
	}
	return dst
}
