package adaptiveconcurrency

import (
	"testing"
	"time"
)

// TestHistogram: a share of the latencies, to two digits.
func TestHistogram(t *testing.T) {
	h := &histogram{}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	h.add(time.Hour)
	for share, want := range map[float64]time.Duration{0.5: 505 * time.Millisecond, 0.001: 1050 * time.Microsecond} {
		c := &histogram{} // take forgets, so each share needs its own
		for i := range h.buckets {
			c.buckets[i].Store(h.buckets[i].Load())
		}
		if got, any := c.take(share); !any || got != want {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
		if _, any := c.take(share); any {
			t.Error("taken twice")
		}
	}
	for _, d := range []time.Duration{0, time.Microsecond, 99 * time.Microsecond, 100 * time.Microsecond, 12 * time.Second, 1 << 62} {
		if b := bucketOf(d); b < 0 || b >= len(h.buckets) {
			t.Errorf("%v: bucket %d", d, b)
		}
	}
}

// TestNextLimit: the limit follows the gradient within its bounds, and keeps
// some more for a queue.
func TestNextLimit(t *testing.T) {
	c := &controller{settings: settings{least: 3, most: 100, buffer: 0.25}, minRTT: 8 * time.Millisecond, stats: &Stats{}}
	for _, tc := range []struct {
		limit    uint32
		rtt      time.Duration
		want     uint32
		gradient int64
	}{
		{16, 10 * time.Millisecond, 20, 1000},
		{16, 20 * time.Millisecond, 10, 500},
		{16, time.Second, 10, 500},
		{16, time.Microsecond, 37, 2000},
		{90, time.Microsecond, 100, 2000},
		{3, time.Second, 3, 500},
	} {
		c.limit.Store(tc.limit)
		if got := c.nextLimit(tc.rtt); got != tc.want || c.stats.Gradient.Value() != tc.gradient {
			t.Errorf("%d after %v: %d, gradient %d, want %+v", tc.limit, tc.rtt, got, c.stats.Gradient.Value(), tc)
		}
	}
}

// TestPlaces: no more requests than the limit, and no samples of those from
// before a measurement.
func TestPlaces(t *testing.T) {
	c := &controller{base: time.Now()}
	c.limit.Store(2)
	if !c.admit() || !c.admit() || c.admit() {
		t.Fatal("not two places")
	}
	c.epoch.Store(int64(time.Second))
	c.sample(c.base, c.base.Add(time.Minute))
	if _, any := c.samples.take(0.5); any {
		t.Error("an old request was counted")
	}
	c.sample(c.base.Add(2*time.Second), c.base.Add(3*time.Second))
	if d, _ := c.samples.take(0.5); d != 1050*time.Millisecond {
		t.Errorf("sampled %v", d)
	}
	if c.active.Load() != 0 {
		t.Errorf("%d under way", c.active.Load())
	}
}
