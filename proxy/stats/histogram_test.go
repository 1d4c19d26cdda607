package stats

import (
	"math"
	"testing"
)

func TestHistogramBuckets(t *testing.T) {
	for _, tc := range []struct {
		v     uint64
		lower float64
		width float64
	}{
		{0, 0, 0}, {1, 1, .1}, {9, 9, .1}, {10, 10, 1}, {11, 11, 1}, {99, 99, 1},
		{100, 100, 10}, {109, 100, 10}, {110, 110.00000000000001, 10}, {999, 990, 10}, {1000, 1000, 100},
		{1 << 32, 4.2e9, 1e8}, {1e19, 1e19, 1e18}, {math.MaxUint64, 1.8e19, 1e18},
	} {
		var h Histogram
		h.Record(tc.v)
		bins := h.take(nil)
		if len(bins) != 1 || bins[0].lower() != tc.lower || bins[0].width() != tc.width || bins[0].n != 1 {
			t.Errorf("%d: bins %v, want one from %v of width %v", tc.v, bins, tc.lower, tc.width)
		}
		if left := h.take(nil); left != nil {
			t.Errorf("%d: %v left after take", tc.v, left)
		}
	}
}

// Every value lies in its bucket, and buckets ascend with the values.
func FuzzHistogramBuckets(f *testing.F) {
	f.Add(uint64(1), uint64(100))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		var h Histogram
		h.Record(a)
		h.Record(b)
		bins := h.take(nil)
		d := newDistribution(bins)
		low, high := bins[0], bins[len(bins)-1]
		// Within a float64's precision: the largest values have more digits.
		if float64(min(a, b)) < low.lower()*(1-1e-15) || float64(max(a, b)) > (high.lower()+high.width())*(1+1e-15) {
			t.Errorf("%d and %d are outside %v to %v", a, b, low.lower(), high.lower()+high.width())
		}
		if d.Count() != 2 || d.Quantile(0) > d.Quantile(1) {
			t.Errorf("%d and %d: count %d, P0 %v, P100 %v", a, b, d.Count(), d.Quantile(0), d.Quantile(1))
		}
	})
}

func TestQuantiles(t *testing.T) {
	var h Histogram
	for _, v := range []uint64{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2} {
		h.Record(v)
	}
	d := newDistribution(h.take(nil))
	// Envoy's page for these values.
	for q, want := range map[float64]float64{0: 0, .5: 0, .75: 1.025, .9: 1.075, .95: 2.05, 1: 2.05} {
		if got := d.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	if got := (Distribution{}).Quantile(.5); !math.IsNaN(got) {
		t.Errorf("quantile of nothing is %v", got)
	}
	for bound, want := range map[float64]uint64{.5: 11, 1: 14, 5: 15} {
		if got := d.CountBelow(bound); got != want {
			t.Errorf("%d values up to %v, want %d", got, bound, want)
		}
	}
}
