package stats

import (
	"context"
	"unsafe"
)

// histogramState is what the pages show of a histogram: the values between the
// last two flushes, and all of them.
type histogramState struct{ interval, total Distribution }

// Flush ends an interval: it starts to move the values recorded in all
// histograms since the last one onto the pages, and returns at once; the
// channel is closed when they are there. Main calls it every
// stats_flush_interval (5 s). While one is under way another does nothing.
func (s *Store) Flush() (done <-chan struct{}) {
	closed := make(chan struct{})
	if !s.flushing.CompareAndSwap(false, true) {
		close(closed)
		return closed
	}
	go func() {
		defer close(closed)
		defer s.flushing.Store(false)
		s.flush()
	}()
	return closed
}

func (s *Store) flush() {
	var groups []*group
	for _, g := range s.list() {
		if len(g.layout.hists) > 0 {
			groups = append(groups, g)
		}
	}
	taken := make([][][][]bin, len(s.owners)) // owner, group, histogram, bin
	for owner := range taken {
		taken[owner] = make([][][]bin, len(groups))
	}
	err := s.visit(s.open, groups, func(owner, i int) {
		if instance := groups[i].instances[owner]; instance != nil {
			taken[owner][i] = takeHistograms(groups[i].layout, instance)
		}
	})
	if err != nil {
		return // closed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, g := range groups {
		g.endInterval(taken, i)
	}
}

func takeHistograms(l *layout, instance unsafe.Pointer) (taken [][]bin) {
	for i, f := range l.hists {
		if bins := at[Histogram](instance, f).take(nil); bins != nil {
			if taken == nil {
				taken = make([][]bin, len(l.hists))
			}
			taken[i] = bins
		}
	}
	return taken
}

func (g *group) endInterval(taken [][][][]bin, i int) {
	for h := range g.hists {
		g.hists[h].interval = Distribution{}
	}
	for owner := range taken {
		if taken[owner][i] == nil {
			continue
		}
		if g.hists == nil {
			g.hists = make([]histogramState, len(g.layout.hists))
		}
		for h, bins := range taken[owner][i] {
			state := &g.hists[h]
			state.interval = newDistribution(merge(state.interval.bins, bins))
			state.total = newDistribution(merge(state.total.bins, bins))
		}
	}
}

// ResetCounters sets all counters to 0, as /reset_counters does.
func (s *Store) ResetCounters(ctx context.Context) error {
	groups := s.list()
	err := s.visit(ctx, groups, func(owner, i int) {
		if instance := groups[i].instances[owner]; instance != nil {
			groups[i].layout.reset(instance)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.counters {
		c.n.Store(0)
	}
	return err
}

func (l *layout) reset(instance unsafe.Pointer) {
	for _, f := range l.numbers {
		if f.kind == kindCounter {
			*at[Counter](instance, f) = 0
		}
	}
	for _, f := range l.codes {
		seen := at[Codes](instance, f).seen
		for i := range seen {
			seen[i].n = 0
		}
	}
}
