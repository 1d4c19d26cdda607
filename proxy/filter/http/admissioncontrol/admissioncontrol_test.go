package admissioncontrol

import (
	"math"
	"testing"
	"time"
)

func fixed(v float64) func() float64 { return func() float64 { return v } }

func TestProbability(t *testing.T) {
	for _, c := range []struct {
		requests, successes, threshold, aggression, most, want float64
	}{
		{0, 0, 95, 1, 80, 0},
		{100, 100, 95, 1, 80, 0},
		{100, 95, 95, 1, 80, 0},
		{100, 50, 100, 1, 80, 50.0 / 101},
		{100, 0, 95, 1, 80, 0.8},
		{100, 0, 95, 1, 100, 100.0 / 101},
		{100, 50, 100, 2, 80, math.Sqrt(50.0 / 101)},
		{100, 50, 100, 0.1, 80, 50.0 / 101}, // no less than 1
		{100, 100, 95, 2, 80, 0},            // not the root of what is negative
		{100, 0, 0, 1, 100, 0},
	} {
		f := &filter{factory: &factory{threshold: fixed(c.threshold), aggression: fixed(c.aggression), maxProbability: fixed(c.most)},
			window: &window{total: counts{uint64(c.requests), uint64(c.successes)}}}
		if got := f.probability(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: %v", c, got)
		}
		if f.rejects(9999) || f.rejects(0) != (c.want > 0) {
			t.Errorf("%+v: chance is not obeyed", c)
		}
	}
}

func TestWindow(t *testing.T) {
	w := &window{length: 3 * time.Second}
	at := func(seconds float64, successes, failures int, want counts) {
		t.Helper()
		now := time.Duration(seconds * float64(time.Second))
		for range successes {
			w.record(now, true)
		}
		for range failures {
			w.record(now, false)
		}
		if w.roll(now); w.total != want {
			t.Errorf("at %v s: %+v, want %+v", seconds, w.total, want)
		}
	}
	at(0, 2, 1, counts{3, 2})
	at(0.9, 1, 0, counts{4, 3}) // the first second's, too
	at(1.5, 0, 2, counts{6, 3})
	if n := len(w.samples); n != 2 {
		t.Errorf("%d samples", n)
	}
	if got := w.rps(2100 * time.Millisecond); got != 3 {
		t.Errorf("%d requests a second", got)
	}
	at(3.1, 0, 0, counts{2, 0})
	at(100, 1, 0, counts{1, 1})
	if n := len(w.samples); n != 1 {
		t.Errorf("%d samples", n)
	}
}
