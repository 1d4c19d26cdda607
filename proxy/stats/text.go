package stats

import (
	"bufio"
	"html"
	"io"
	"math"
	"strconv"
)

// quantiles are those of Envoy's pages, with their names in the text page.
var quantiles = []struct {
	q    float64
	name string
}{{0, "P0"}, {.25, "P25"}, {.5, "P50"}, {.75, "P75"}, {.9, "P90"}, {.95, "P95"}, {.99, "P99"}, {.995, "P99.5"}, {.999, "P99.9"}, {1, "P100"}}

// bound is the upper bound of a histogram's bucket on the pages.
type bound struct {
	value float64
	le    string // Prometheus's label
}

// defaultBounds are Envoy's.
var defaultBounds = newBounds(0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)

func newBounds(values ...float64) []bound {
	out := make([]bound, len(values))
	for i, v := range values {
		out[i] = bound{v, long(v)}
	}
	return out
}

// WriteText writes Envoy's text page: text readouts, then counters and gauges
// together, then histograms.
func (s *Snapshot) WriteText(w io.Writer, o Options) error {
	b := bufio.NewWriterSize(w, 32<<10)
	if o.Types&TextReadouts != 0 {
		for g, t := range s.texts() {
			if o.match(g.scope.Prefix, t.name, t.used) {
				writeAll(b, g.scope.Prefix, t.name, `: "`, html.EscapeString(t.value), "\"\n")
			}
		}
	}
	for g, n := range s.numbers() {
		if o.Types&n.types() != 0 && o.match(g.scope.Prefix, n.name, n.used) {
			writeAll(b, g.scope.Prefix, n.name, ": ", strconv.FormatUint(n.shown(), 10), "\n")
		}
	}
	if o.Types&Histograms != 0 {
		for g, h := range s.histograms() {
			if o.match(g.scope.Prefix, h.name, h.used()) {
				writeAll(b, g.scope.Prefix, h.name)
				h.writeText(b, o.Buckets)
			}
		}
	}
	return b.Flush()
}

func (n *number) types() Types {
	if n.gauge {
		return Gauges
	}
	return Counters
}

// shown is the value on the pages. The parts of a gauge are not read at the
// same instant, so their sum can be below 0 for a moment.
func (n *number) shown() uint64 {
	if n.wide {
		return uint64(n.value)
	}
	return uint64(max(n.value, 0))
}

func (h *histogram) used() bool { return h.state.total.count > 0 }

func writeAll(b *bufio.Writer, parts ...string) {
	for _, p := range parts {
		b.WriteString(p)
	}
}

func (h *histogram) writeText(b *bufio.Writer, mode Buckets) {
	if h.state.total.count == 0 {
		b.WriteString(": No recorded values\n")
		return
	}
	switch mode {
	case Cumulative, Disjoint:
		b.WriteString(":")
		for i, bound := range h.bounds {
			interval, total := h.bucket(i, mode)
			writeAll(b, " B", compact(bound.value), "(", strconv.FormatUint(interval, 10), ",", strconv.FormatUint(total, 10), ")")
		}
	case Detailed:
		b.WriteString(":\n  totals=")
		h.state.total.writeBins(b)
		b.WriteString("\n  intervals=")
		h.state.interval.writeBins(b)
		b.WriteString("\n  summary=")
		h.writeSummary(b)
	default:
		b.WriteString(": ")
		h.writeSummary(b)
	}
	b.WriteString("\n")
}

func (h *histogram) writeSummary(b *bufio.Writer) {
	for i, q := range quantiles {
		if i > 0 {
			b.WriteString(" ")
		}
		writeAll(b, q.name, "(", shortest(h.state.interval.Quantile(q.q)), ",", shortest(h.state.total.Quantile(q.q)), ")")
	}
}

// bucket counts up to the i-th bound, or since the one before when disjoint.
func (h *histogram) bucket(i int, mode Buckets) (interval, total uint64) {
	interval, total = h.state.interval.CountBelow(h.bounds[i].value), h.state.total.CountBelow(h.bounds[i].value)
	if mode == Disjoint && i > 0 {
		interval -= h.state.interval.CountBelow(h.bounds[i-1].value)
		total -= h.state.total.CountBelow(h.bounds[i-1].value)
	}
	return interval, total
}

func (d Distribution) writeBins(b *bufio.Writer) {
	for i, bin := range d.bins {
		if i > 0 {
			b.WriteString(", ")
		}
		writeAll(b, shortest(bin.lower()), ",", shortest(bin.width()), ":", strconv.FormatUint(bin.n, 10))
	}
}

// compact is printf's %g: six digits.
func compact(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

// shortest is what C++'s {} prints: as many digits as tell the number from its neighbours.
func shortest(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case f < 1e16:
		return strconv.FormatFloat(f, 'f', -1, 64)
	default:
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
}
