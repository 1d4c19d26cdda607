package stats

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Snapshot is what all statistics were at about one moment: each owner's part
// is taken between two of its events.
type Snapshot struct {
	config *Config
	groups []*groupSnapshot // ascending by prefix
}

// groupSnapshot is one group's statistics; each list ascends by name, and the
// names lack the group's prefix.
type groupSnapshot struct {
	scope   Scope
	numbers []number
	hists   []histogram
	texts   []text
}

// number is a counter or a gauge.
type number struct {
	name        string
	value       int64
	gauge, used bool
	wide        bool // value is the bits of a uint64
	omitEmpty   bool
}

// omitted says that the number isn't shown before it is used.
func (n number) omitted() bool { return n.omitEmpty && !n.used }

type histogram struct {
	name   string
	state  histogramState
	bounds []bound
}

type text struct {
	name, value string
	used        bool
}

// part is what one owner contributes to a group's snapshot, in the layout's
// order: as little as can be, because the owner has requests to serve.
type part struct {
	numbers []uint64 // a counter's value or a gauge's bits
	codes   [][]codeCount
	texts   []text
	hists   []bool // whether it has ever recorded
}

// Snapshot collects the sums. It is called from a goroutine that is not an
// owner, because it waits for all of them; an error says that one of them did
// not answer before ctx ended.
func (s *Store) Snapshot(ctx context.Context) (*Snapshot, error) {
	groups := s.list()
	parts := make([][]*part, len(s.owners))
	for owner := range parts {
		parts[owner] = make([]*part, len(groups))
	}
	err := s.visit(ctx, groups, func(owner, i int) {
		if instance := groups[i].instances[owner]; instance != nil {
			parts[owner][i] = groups[i].layout.read(instance)
		}
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	snapshot := &Snapshot{config: s.config}
	for i, g := range groups {
		if g.scope.Lazy && !slices.ContainsFunc(parts, func(owner []*part) bool { return owner[i] != nil }) {
			continue
		}
		snapshot.groups = append(snapshot.groups, g.snapshot(parts, i, s.config))
	}
	snapshot.groups = append(snapshot.groups, s.sharedSnapshot())
	slices.SortFunc(snapshot.groups, func(a, b *groupSnapshot) int { return cmp.Compare(a.scope.Prefix, b.scope.Prefix) })
	return snapshot, nil
}

// read copies an owner's numbers; it runs on the owner's goroutine.
func (l *layout) read(instance unsafe.Pointer) *part {
	p := &part{numbers: make([]uint64, len(l.numbers))}
	for i, f := range l.numbers {
		p.numbers[i] = *at[uint64](instance, f) // both kinds are 64 bits wide
	}
	for _, f := range l.codes {
		p.codes = append(p.codes, slices.Clone(at[Codes](instance, f).seen))
	}
	for _, f := range l.hists {
		p.hists = append(p.hists, at[Histogram](instance, f).live != nil)
	}
	for _, f := range l.texts {
		t := at[Text](instance, f)
		p.texts = append(p.texts, text{f.name, t.s, t.used})
	}
	return p
}

// add adds an owner's counter or gauge to the sum.
func (n *number) add(bits uint64) {
	if n.gauge {
		g := Gauge{int64(bits)}
		n.value += g.Value()
		n.used = n.used || g.used()
	} else {
		n.value += int64(bits)
		n.used = n.value != 0
	}
}

// snapshot adds up the parts. Groups that nobody counts in share one list of zeros.
func (g *group) snapshot(parts [][]*part, i int, config *Config) *groupSnapshot {
	out := &groupSnapshot{scope: g.scope, numbers: g.layout.idle}
	for h, f := range g.layout.hists {
		hist := histogram{name: f.name}
		if g.hists != nil {
			hist.state = g.hists[h]
		}
		recorded := slices.ContainsFunc(parts, func(owner []*part) bool { return owner[i] != nil && owner[i].hists[h] })
		if recorded || hist.used() || !f.omitEmpty {
			hist.bounds = config.bounds(g.scope.Prefix, f.name)
			out.hists = append(out.hists, hist)
		}
	}
	for _, f := range g.layout.texts {
		out.texts = append(out.texts, text{name: f.name})
	}
	var codes []number
	idle := true
	for owner := range parts {
		p := parts[owner][i]
		if p == nil {
			continue
		}
		if idle {
			out.numbers, idle = slices.Clone(g.layout.zeros), false
		}
		for n, bits := range p.numbers {
			out.numbers[n].add(bits)
		}
		for c, seen := range p.codes {
			codes = appendCodes(codes, g.layout.codes[c].name, seen)
		}
		for t := range p.texts {
			if p.texts[t].used {
				out.texts[t] = p.texts[t]
			}
		}
	}
	if !idle {
		out.numbers = slices.DeleteFunc(out.numbers, number.omitted)
	}
	if !idle && len(g.layout.codes) > 0 {
		out.numbers = addUp(append(g.layout.appendCompleted(out.numbers), codes...))
	}
	config.hide(out)
	return out
}

// appendCodes turns counts by code into the counters that Envoy shows.
func appendCodes(dst []number, prefix string, seen []codeCount) []number {
	for _, s := range seen {
		if s.code == unnamed {
			dst = append(dst, number{name: prefix + "completed", value: int64(s.n), used: true})
			continue
		}
		code := strconv.Itoa(int(s.code))
		for _, suffix := range []string{code, code[:1] + "xx", "completed"} {
			dst = append(dst, number{name: prefix + suffix, value: int64(s.n), used: true})
		}
	}
	return dst
}

// addUp sorts by name and makes one of those with the same.
func addUp(numbers []number) []number {
	slices.SortStableFunc(numbers, func(a, b number) int { return cmp.Compare(a.name, b.name) })
	out := numbers[:0]
	for _, n := range numbers {
		if last := len(out) - 1; last >= 0 && out[last].name == n.name {
			out[last].value += n.value
			out[last].used = out[last].used || n.used
		} else {
			out = append(out, n)
		}
	}
	return out
}

func (s *Store) sharedSnapshot() *groupSnapshot {
	out := &groupSnapshot{}
	for name, c := range s.counters {
		n := c.n.Load()
		out.numbers = append(out.numbers, number{name: name, value: int64(n), used: n != 0})
	}
	for name, g := range s.gauges {
		out.numbers = append(out.numbers, number{name: name, value: g.n.Load(), gauge: true, used: g.used.Load(), wide: g.wide.Load()})
	}
	out.numbers = addUp(out.numbers)
	for _, name := range slices.Sorted(maps.Keys(s.texts)) {
		if p := s.texts[name].s.Load(); p != nil {
			out.texts = append(out.texts, text{name, *p, true})
		} else {
			out.texts = append(out.texts, text{name: name})
		}
	}
	s.config.hide(out)
	return out
}

// Value is the counter or gauge of this full name, for tests and for the
// decisions of main; false when there is none.
func (s *Snapshot) Value(name string) (int64, bool) {
	for _, g := range s.groups {
		rest, ok := strings.CutPrefix(name, g.scope.Prefix)
		if !ok {
			continue
		}
		i, found := slices.BinarySearchFunc(g.numbers, rest, func(n number, rest string) int { return cmp.Compare(n.name, rest) })
		if found {
			return g.numbers[i].value, true
		}
	}
	return 0, false
}

// Sum adds up the counters and gauges whose full names match.
func (s *Snapshot) Sum(names *regexp.Regexp) int64 {
	sum := int64(0)
	for g, n := range s.numbers() {
		if names.MatchString(g.scope.Prefix + n.name) {
			sum += n.value
		}
	}
	return sum
}
