package stats

import (
	"bufio"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// WritePrometheus writes /stats/prometheus: the text exposition format, with
// Envoy's names ("envoy_" and the name without its tags) and labels.
func (s *Snapshot) WritePrometheus(w io.Writer, o Options) error {
	if o.Buckets == Disjoint || o.Buckets == Detailed {
		return ErrPrometheusBuckets
	}
	if o.Buckets == Native {
		return ErrNativeBuckets
	}
	b := bufio.NewWriterSize(w, 32<<10)
	for _, t := range []struct {
		types Types
		name  string
	}{{Counters, "counter"}, {Gauges, "gauge"}} {
		f := newFamilies[*number](s.config)
		for g, n := range s.numbers() {
			if o.Types&n.types()&t.types != 0 && o.match(g.scope.Prefix, n.name, n.used) {
				f.add(g, n.name, n)
			}
		}
		f.write(b, t.name, func(name, labels string, n *number) {
			writeAll(b, name, "{", labels, "} ", strconv.FormatUint(n.shown(), 10), "\n")
		})
	}
	if o.TextReadouts && o.Types&TextReadouts != 0 {
		f := newFamilies[*text](s.config)
		for g, t := range s.texts() {
			if o.match(g.scope.Prefix, t.name, t.used) {
				f.add(g, t.name, t)
			}
		}
		f.write(b, "gauge", func(name, labels string, t *text) {
			writeAll(b, name, "{", join(labels, `text_value="`+labelValue(t.value)+`"`), "} 0\n")
		})
	}
	if o.Types&Histograms != 0 {
		s.writeHistogramsPrometheus(b, &o)
	}
	return b.Flush()
}

func (s *Snapshot) writeHistogramsPrometheus(b *bufio.Writer, o *Options) {
	f := newFamilies[*histogram](s.config)
	for g, h := range s.histograms() {
		if o.match(g.scope.Prefix, h.name, h.used()) {
			f.add(g, h.name, h)
		}
	}
	if o.Buckets == Summary {
		f.write(b, "summary", func(name, labels string, h *histogram) {
			for _, q := range quantiles {
				writeAll(b, name, "{", join(labels, `quantile="`+shortest(q.q)+`"`), "} ", long(h.state.interval.Quantile(q.q)), "\n")
			}
			writeTotals(b, name, labels, h.state.interval)
		})
		return
	}
	f.write(b, "histogram", func(name, labels string, h *histogram) {
		for _, bound := range h.bounds {
			writeAll(b, name, "_bucket{", labels, comma(labels), `le="`, bound.le, `"} `, strconv.FormatUint(h.state.total.CountBelow(bound.value), 10), "\n")
		}
		writeAll(b, name, "_bucket{", labels, comma(labels), `le="+Inf"} `, strconv.FormatUint(h.state.total.count, 10), "\n")
		writeTotals(b, name, labels, h.state.total)
	})
}

func writeTotals(b *bufio.Writer, name, labels string, d Distribution) {
	writeAll(b, name, "_sum{", labels, "} ", long(d.Sum()), "\n")
	writeAll(b, name, "_count{", labels, "} ", strconv.FormatUint(d.count, 10), "\n")
}

func newFamilies[E any](c *Config) *families[E] {
	return &families[E]{tagger: &c.tagger, byName: map[string]*[]sample[E]{}, byParts: map[nameParts]familyCode[E]{}}
}

// families gathers what has the same name without tags: Prometheus wants such
// samples in one piece.
type families[E any] struct {
	tagger *tagger
	byName map[string]*[]sample[E]
	// Names are built once for all the clusters that have the same: byParts
	// finds a family by the group's base and the name in the group.
	byParts map[nameParts]familyCode[E]
	// What the previous item's group came to: items of a group follow one another.
	group *groupSnapshot
	base  string
	tags  string
}

type nameParts struct{ base, name string }

// familyCode is a family and the labels that the name had beside the scope's.
type familyCode[E any] struct {
	samples *[]sample[E]
	label   string
}

type sample[E any] struct {
	labels string
	item   E
}

func (f *families[E]) add(g *groupSnapshot, name string, item E) {
	if g.scope.Prefix == "" || f.tagger.whole {
		base, tags := f.tagger.split(g.scope.Prefix + name)
		f.put(base, "", labels(tags), item)
		return
	}
	if g != f.group {
		base, tags := f.tagger.base(&g.scope)
		f.group, f.base, f.tags = g, base, labels(tags)
	}
	f.put(f.base, name, f.tags, item)
}

func (f *families[E]) put(base, name, tags string, item E) {
	parts := nameParts{base, name}
	family, ok := f.byParts[parts]
	if !ok {
		full := base
		if name != "" {
			var tags []Tag
			full, tags = cutTags(base+name, f.tagger.anywhere)
			family.label = labels(tags)
		}
		if f.byName[full] == nil {
			f.byName[full] = new([]sample[E])
		}
		family.samples = f.byName[full]
		f.byParts[parts] = family
	}
	*family.samples = append(*family.samples, sample[E]{join(family.label, tags), item})
}

func (f *families[E]) write(b *bufio.Writer, kind string, write func(name, labels string, item E)) {
	// Envoy sorts by the name before the dots become underscores.
	for _, name := range slices.Sorted(maps.Keys(f.byName)) {
		metric := "envoy_" + metricName(name)
		writeAll(b, "# TYPE ", metric, " ", kind, "\n")
		for _, s := range *f.byName[name] {
			write(metric, s.labels, s.item)
		}
	}
}

func labels(tags []Tag) string {
	s := ""
	for _, t := range tags {
		s = join(s, metricName(t.Name)+`="`+labelValue(t.Value)+`"`)
	}
	return s
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}

func comma(labels string) string {
	if labels == "" {
		return ""
	}
	return ","
}

// metricName keeps what Prometheus allows in a name.
func metricName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, s)
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func labelValue(s string) string { return labelEscaper.Replace(s) }

// long is printf's %.32g, which Envoy uses here.
func long(f float64) string {
	if math.IsNaN(f) {
		return "nan"
	}
	return strconv.FormatFloat(f, 'g', 32, 64)
}
