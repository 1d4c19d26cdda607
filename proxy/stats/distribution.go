package stats

import "math"

// bin is a bucket that holds something. Bucket 0 is the value 0; bucket
// 1+d*90+i starts at (1+i/10) * 10^d.
type bin struct {
	index uint16
	n     uint64
}

func (b bin) lower() float64 {
	if b.index == 0 {
		return 0
	}
	d, i := (b.index-1)/binsPerDecade, (b.index-1)%binsPerDecade
	return float64(10+i) / 10 * float64(pow10[d]) // as circllhist rounds: 110.00000000000001
}

func (b bin) width() float64 {
	if b.index == 0 {
		return 0
	}
	if d := (b.index - 1) / binsPerDecade; d > 0 {
		return float64(pow10[d-1])
	}
	return 0.1
}

// midpoint is circllhist's: the mean that minimises the relative error.
func (b bin) midpoint() float64 {
	if b.index == 0 {
		return 0
	}
	low, width := b.lower(), b.width()
	return low + low/(low+low+width)*width
}

// Distribution is an immutable set of recorded values, in ascending buckets.
type Distribution struct {
	bins  []bin
	count uint64
}

// Count is the number of values.
func (d Distribution) Count() uint64 { return d.count }

// Sum approximates the sum of the values.
func (d Distribution) Sum() float64 {
	sum := 0.0
	for _, b := range d.bins {
		sum += b.midpoint() * float64(b.n)
	}
	return sum
}

// Quantile is the value below which the share q (0 to 1) lies, interpolated
// within its bucket; NaN when there are no values.
func (d Distribution) Quantile(q float64) float64 {
	if d.count == 0 {
		return math.NaN()
	}
	rank := max(1, uint64(math.Ceil(q*float64(d.count))))
	for _, b := range d.bins {
		if rank <= b.n {
			return b.lower() + b.width()*(float64(rank)/float64(b.n+1))
		}
		rank -= b.n
	}
	return math.NaN()
}

// CountBelow is the number of values up to and including the bucket that bound starts.
func (d Distribution) CountBelow(bound float64) uint64 {
	n := uint64(0)
	for _, b := range d.bins {
		if b.lower() > bound {
			break
		}
		n += b.n
	}
	return n
}

// merge adds two ascending lists.
func merge(a, b []bin) []bin {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]bin, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].index < b[0].index:
			out, a = append(out, a[0]), a[1:]
		case a[0].index > b[0].index:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, bin{a[0].index, a[0].n + b[0].n})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func newDistribution(bins []bin) Distribution {
	d := Distribution{bins: bins}
	for _, b := range bins {
		d.count += b.n
	}
	return d
}
