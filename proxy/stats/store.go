package stats

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// Owner is a goroutine that owns statistics: a dispatcher. Post runs f on it,
// soon, and may be called from any goroutine.
type Owner interface{ Post(f func()) }

// Store holds all groups of an instance.
type Store struct {
	owners []Owner

	mu       sync.Mutex // configuration, flushes and scrapes; never the request path
	groups   map[groupKey]*group
	counters map[string]*SharedCounter
	gauges   map[string]*SharedGauge
	texts    map[string]*SharedText

	config *Config

	flushing atomic.Bool
	open     context.Context // until Close
	close    context.CancelFunc
}

// NewStore makes a store for these owners: main first, then the workers in order.
func NewStore(owners ...Owner) *Store {
	open, closeStore := context.WithCancel(context.Background())
	return &Store{
		owners:   owners,
		open:     open,
		close:    closeStore,
		groups:   map[groupKey]*group{},
		counters: map[string]*SharedCounter{},
		gauges:   map[string]*SharedGauge{},
		texts:    map[string]*SharedText{},
		config:   &Config{tagger: defaultTagger},
	}
}

// Close ends a flush that still waits for owners. They may have stopped already.
func (s *Store) Close() { s.close() }

// Configure applies a bootstrap's stats_config to all later snapshots.
func (s *Store) Configure(c *Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = c
}

// SharedCounter is a counter that any goroutine may use.
type SharedCounter struct{ n atomic.Uint64 }

// Inc adds one.
func (c *SharedCounter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *SharedCounter) Add(n uint64) { c.n.Add(n) }

// Value is the count.
func (c *SharedCounter) Value() uint64 { return c.n.Load() }

// SharedGauge is a gauge that any goroutine may use.
type SharedGauge struct {
	n    atomic.Int64
	used atomic.Bool
	wide atomic.Bool // n is the bits of a uint64
}

// Set replaces the value.
func (g *SharedGauge) Set(n int64) { g.n.Store(n); g.used.Store(true) }

// SetWide replaces the value by one that may need all 64 bits: a hash.
func (g *SharedGauge) SetWide(n uint64) { g.wide.Store(true); g.Set(int64(n)) }

// Add adds n, which may be negative.
func (g *SharedGauge) Add(n int64) { g.n.Add(n); g.used.Store(true) }

// Value is the gauge's value.
func (g *SharedGauge) Value() int64 { return g.n.Load() }

// SharedText is a text readout that any goroutine may set.
type SharedText struct{ s atomic.Pointer[string] }

// Set replaces the text.
func (t *SharedText) Set(s string) { t.s.Store(&s) }

// Counter returns the shared counter of this full name, made on the first
// call. For what is rare or has no fixed name; keep what it returns.
func (s *Store) Counter(name string) *SharedCounter { return shared(s, s.counters, name) }

// Gauge returns the shared gauge of this full name, made on the first call.
func (s *Store) Gauge(name string) *SharedGauge { return shared(s, s.gauges, name) }

// Text returns the shared text readout of this full name, made on the first call.
func (s *Store) Text(name string) *SharedText { return shared(s, s.texts, name) }

func shared[V any](s *Store, m map[string]*V, name string) *V {
	name = Sanitize(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if m[name] == nil {
		m[name] = new(V)
	}
	return m[name]
}

// visitBatch is how many groups an owner visits between two of its events: a
// scrape of ten thousand clusters must not hold up requests.
const visitBatch = 128

// visit calls f for each group on each owner's goroutine, and returns when all
// are done or ctx ends.
func (s *Store) visit(ctx context.Context, groups []*group, f func(owner, i int)) error {
	done := make(chan int, len(s.owners))
	for owner := range s.owners {
		next := 0
		var step func()
		step = func() {
			for end := min(next+visitBatch, len(groups)); next < end; next++ {
				f(owner, next)
			}
			switch {
			case next == len(groups):
				done <- owner
			case ctx.Err() == nil:
				s.owners[owner].Post(step)
			}
		}
		s.owners[owner].Post(step)
	}
	missing := make(map[int]bool, len(s.owners))
	for owner := range s.owners {
		missing[owner] = true
	}
	for len(missing) > 0 {
		select {
		case owner := <-done:
			delete(missing, owner)
		case <-ctx.Done():
			return fmt.Errorf("stats: %d of %d threads did not answer (a thread is stuck or has stopped): %w", len(missing), len(s.owners), context.Cause(ctx))
		}
	}
	return nil
}

func (s *Store) list() []*group {
	s.mu.Lock()
	defer s.mu.Unlock()
	groups := make([]*group, 0, len(s.groups))
	for _, g := range s.groups {
		groups = append(groups, g)
	}
	return groups
}
