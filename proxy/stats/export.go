package stats

import "iter"

// Kind is what a sample is.
type Kind uint8

const (
	CounterSample Kind = iota
	GaugeSample
	HistogramSample
)

// Sample is one statistic as sinks send it.
type Sample struct {
	Kind Kind
	Name string // whole, with the tags' values in it
	// Tags as a configuration finds them, and the name without them.
	Tagless string
	Tags    []Tag
	Value   int64 // of a counter or gauge
	// Interval is what a histogram recorded before the last flush, Total all
	// that it ever did; Bounds are the bounds of its configured buckets.
	Interval, Total Distribution
	Bounds          []float64
}

// Used yields the statistics that were used since the start: counters and
// gauges, then histograms.
func (s *Snapshot) Used() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for g, n := range s.numbers() {
			if !n.used {
				continue
			}
			out := s.sample(g.scope.Prefix + n.name)
			out.Value = n.value
			if n.gauge {
				out.Kind = GaugeSample
			}
			if !yield(out) {
				return
			}
		}
		for g, h := range s.histograms() {
			if !h.used() {
				continue
			}
			out := s.sample(g.scope.Prefix + h.name)
			out.Kind, out.Interval, out.Total = HistogramSample, h.state.interval, h.state.total
			for _, b := range h.bounds {
				out.Bounds = append(out.Bounds, b.value)
			}
			if !yield(out) {
				return
			}
		}
	}
}

func (s *Snapshot) sample(name string) Sample {
	base, tags := s.config.tagger.split(name)
	return Sample{Name: name, Tagless: base, Tags: tags}
}

// Values yields the recorded values, each the middle of its bucket, with how
// often it was recorded.
func (d Distribution) Values(yield func(value float64, count uint64) bool) {
	for _, b := range d.bins {
		if !yield(b.midpoint(), b.n) {
			return
		}
	}
}
