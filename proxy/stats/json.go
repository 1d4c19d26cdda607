package stats

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
)

// WriteJSON writes Envoy's ?format=json page, in the text page's order.
func (s *Snapshot) WriteJSON(w io.Writer, o Options) error {
	b := bufio.NewWriterSize(w, 32<<10)
	list := &jsonList{b: b}
	b.WriteString(`{"stats":[`)
	if o.Types&TextReadouts != 0 {
		for g, t := range s.texts() {
			if o.match(g.scope.Prefix, t.name, t.used) {
				list.next()
				writeAll(b, `{"name":`, quote(g.scope.Prefix+t.name), `,"value":`, quote(t.value), "}")
			}
		}
	}
	for g, n := range s.numbers() {
		if o.Types&n.types() != 0 && o.match(g.scope.Prefix, n.name, n.used) {
			list.next()
			writeAll(b, `{"name":`, quote(g.scope.Prefix+n.name), `,"value":`, strconv.FormatUint(n.shown(), 10), "}")
		}
	}
	if o.Types&Histograms != 0 {
		s.writeHistogramsJSON(b, list, &o)
	}
	b.WriteString("]}")
	return b.Flush()
}

// writeHistogramsJSON writes the one element that holds all histograms, whose
// shape depends on the bucket mode; with no histogram there is none.
func (s *Snapshot) writeHistogramsJSON(b *bufio.Writer, list *jsonList, o *Options) {
	var open, end string
	var write func(*histogram, *bufio.Writer)
	percentiles := make([]float64, len(quantiles))
	for i, q := range quantiles {
		percentiles[i] = q.q * 100
	}
	switch o.Buckets {
	case Cumulative, Disjoint:
		open, end = `{"histograms":[`, `]}`
		write = func(h *histogram, b *bufio.Writer) { h.writeBucketsJSON(b, o.Buckets) }
	case Detailed:
		open, end = `{"histograms":{"supported_percentiles":`+numbersJSON(percentiles)+`,"details":[`, `]}}`
		write = (*histogram).writeDetailJSON
	default:
		open, end = `{"histograms":{"supported_quantiles":`+numbersJSON(percentiles)+`,"computed_quantiles":[`, `]}}`
		write = func(h *histogram, b *bufio.Writer) {
			b.WriteString(`,"values":`)
			h.writeQuantilesJSON(b)
		}
	}
	inner := &jsonList{b: b}
	for g, h := range s.histograms() {
		if !o.match(g.scope.Prefix, h.name, h.used()) {
			continue
		}
		if !inner.started {
			list.next()
			b.WriteString(open)
		}
		inner.next()
		writeAll(b, `{"name":`, quote(g.scope.Prefix+h.name))
		write(h, b)
		b.WriteString("}")
	}
	if inner.started {
		b.WriteString(end)
	}
}

func (h *histogram) writeQuantilesJSON(b *bufio.Writer) {
	list := &jsonList{b: b}
	b.WriteString("[")
	for _, q := range quantiles {
		list.next()
		writeAll(b, `{"cumulative":`, numberJSON(h.state.total.Quantile(q.q)), `,"interval":`, numberJSON(h.state.interval.Quantile(q.q)), "}")
	}
	b.WriteString("]")
}

func (h *histogram) writeBucketsJSON(b *bufio.Writer, mode Buckets) {
	list := &jsonList{b: b}
	b.WriteString(`,"buckets":[`)
	for i, bound := range h.bounds {
		interval, total := h.bucket(i, mode)
		list.next()
		writeAll(b, `{"upper_bound":`, numberJSON(bound.value), `,"interval":`, strconv.FormatUint(interval, 10), `,"cumulative":`, strconv.FormatUint(total, 10), "}")
	}
	b.WriteString("]")
}

func (h *histogram) writeDetailJSON(b *bufio.Writer) {
	for _, part := range []struct {
		key string
		d   Distribution
	}{{`,"totals":[`, h.state.total}, {`,"intervals":[`, h.state.interval}} {
		list := &jsonList{b: b}
		b.WriteString(part.key)
		for _, bin := range part.d.bins {
			list.next()
			writeAll(b, `{"lower_bound":`, numberJSON(bin.lower()), `,"width":`, numberJSON(bin.width()), `,"count":`, strconv.FormatUint(bin.n, 10), "}")
		}
		b.WriteString("]")
	}
	b.WriteString(`,"percentiles":`)
	h.writeQuantilesJSON(b)
}

// jsonList puts the commas.
type jsonList struct {
	b       *bufio.Writer
	started bool
}

func (l *jsonList) next() {
	if l.started {
		l.b.WriteByte(',')
	}
	l.started = true
}

func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string can't fail
	return strings.TrimSuffix(b.String(), "\n")
}

func numbersJSON(list []float64) string {
	s := "["
	for i, f := range list {
		if i > 0 {
			s += ","
		}
		s += numberJSON(f)
	}
	return s + "]"
}

// numberJSON is C++'s shortest form: 3e+05 but 1800000.
func numberJSON(f float64) string {
	if math.IsNaN(f) {
		return "null"
	}
	fixed, scientific := strconv.FormatFloat(f, 'f', -1, 64), strconv.FormatFloat(f, 'e', -1, 64)
	if len(scientific) < len(fixed) {
		return scientific
	}
	return fixed
}
