package stats

import (
	"cmp"
	"container/heap"
	"iter"
	"slices"
	"strings"
)

// inOrder yields the groups' items in the order of their full names. Names are
// never built for it: ten thousand clusters have two million of them.
func inOrder[E any](groups []*groupSnapshot, items func(*groupSnapshot) []E, name func(*E) string) iter.Seq2[*groupSnapshot, *E] {
	return func(yield func(*groupSnapshot, *E) bool) {
		var all []cursor[E]
		for _, g := range groups {
			if list := items(g); len(list) > 0 {
				all = append(all, cursor[E]{g, list, name})
			}
		}
		slices.SortFunc(all, func(a, b cursor[E]) int {
			return compareNames(a.group.scope.Prefix, a.name(&a.rest[0]), b.group.scope.Prefix, b.name(&b.rest[0]))
		})
		// Groups whose first name is still to come wait outside the heap, which
		// so holds only those that overlap: one, nearly always.
		var open cursors[E]
		for len(all) > 0 || len(open) > 0 {
			if len(open) == 0 || len(all) > 0 && all[0].before(&open[0]) {
				heap.Push(&open, all[0])
				all = all[1:]
			}
			c := &open[0]
			if len(all) > 0 && all[0].before(c) {
				continue
			}
			if !yield(c.group, &c.rest[0]) {
				return
			}
			if c.rest = c.rest[1:]; len(c.rest) == 0 {
				heap.Pop(&open)
			} else {
				heap.Fix(&open, 0)
			}
		}
	}
}

// cursor is what is left of a group.
type cursor[E any] struct {
	group *groupSnapshot
	rest  []E
	name  func(*E) string
}

func (c *cursor[E]) before(d *cursor[E]) bool {
	return compareNames(c.group.scope.Prefix, c.name(&c.rest[0]), d.group.scope.Prefix, d.name(&d.rest[0])) < 0
}

type cursors[E any] []cursor[E]

func (c cursors[E]) Len() int           { return len(c) }
func (c cursors[E]) Less(i, j int) bool { return c[i].before(&c[j]) }
func (c cursors[E]) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors[E]) Push(x any)        { *c = append(*c, x.(cursor[E])) }
func (c *cursors[E]) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	*c = (*c)[:last]
	return x
}

// compareNames compares a1+a2 with b1+b2.
func compareNames(a1, a2, b1, b2 string) int {
	switch n := min(len(a1), len(b1)); {
	case a1[:n] != b1[:n]:
		return strings.Compare(a1[:n], b1[:n])
	case len(a1) == len(b1):
		return strings.Compare(a2, b2)
	case len(a1) > n:
		return -compareTail(b2, a1[n:], a2)
	default:
		return compareTail(a2, b1[n:], b2)
	}
}

// compareTail compares a with b1+b2.
func compareTail(a, b1, b2 string) int {
	n := min(len(a), len(b1))
	if c := strings.Compare(a[:n], b1[:n]); c != 0 {
		return c
	}
	if len(a) < len(b1) {
		return -1
	}
	return cmp.Compare(a[n:], b2)
}

func (s *Snapshot) numbers() iter.Seq2[*groupSnapshot, *number] {
	return inOrder(s.groups, func(g *groupSnapshot) []number { return g.numbers }, func(n *number) string { return n.name })
}

func (s *Snapshot) histograms() iter.Seq2[*groupSnapshot, *histogram] {
	return inOrder(s.groups, func(g *groupSnapshot) []histogram { return g.hists }, func(h *histogram) string { return h.name })
}

func (s *Snapshot) texts() iter.Seq2[*groupSnapshot, *text] {
	return inOrder(s.groups, func(g *groupSnapshot) []text { return g.texts }, func(t *text) string { return t.name })
}
