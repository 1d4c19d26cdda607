package admissioncontrol

import "time"

// window counts the requests of the last seconds. It is one worker's.
type window struct {
	length  time.Duration
	samples []sample // oldest first
	total   counts
}

type counts struct{ requests, successes uint64 }

// sample is about a second's requests.
type sample struct {
	begun time.Duration // by the loop's clock
	counts
}

// roll forgets what is too old and begins a sample when the last one is full.
func (w *window) roll(now time.Duration) {
	old := 0
	for old < len(w.samples) && now-w.samples[old].begun >= w.length {
		w.total.requests -= w.samples[old].requests
		w.total.successes -= w.samples[old].successes
		old++
	}
	if old > 0 {
		w.samples = append(w.samples[:0], w.samples[old:]...)
	}
	if n := len(w.samples); n == 0 || now-w.samples[n-1].begun >= time.Second {
		w.samples = append(w.samples, sample{begun: now})
	}
}

func (w *window) record(now time.Duration, success bool) {
	w.roll(now)
	last := &w.samples[len(w.samples)-1]
	last.requests++
	w.total.requests++
	if success {
		last.successes++
		w.total.successes++
	}
}

// rps is how many requests there were a second, on average.
func (w *window) rps(now time.Duration) uint64 {
	w.roll(now)
	if w.total.requests == 0 {
		return 0
	}
	return w.total.requests / uint64(max((now-w.samples[0].begun)/time.Second, 1))
}
