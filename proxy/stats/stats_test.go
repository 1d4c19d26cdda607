package stats

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// loop is an owner: a goroutine that runs what is posted to it.
type loop struct{ posts chan func() }

func startLoop(t testing.TB) *loop {
	l := &loop{make(chan func(), 1024)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for f := range l.posts {
			f()
		}
	})
	t.Cleanup(func() { close(l.posts); wg.Wait() })
	return l
}

func (l *loop) Post(f func()) { l.posts <- f }

// do runs f on the loop and waits for it.
func (l *loop) do(f func()) {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	<-done
}

func newStore(t testing.TB, owners int) (*Store, []*loop) {
	var loops []*loop
	var list []Owner
	for range owners {
		l := startLoop(t)
		loops, list = append(loops, l), append(list, l)
	}
	store := NewStore(list...)
	t.Cleanup(store.Close)
	return store, loops
}

type clusterStats struct {
	Total  Counter   `stat:"upstream_cx_total"`
	Active Gauge     `stat:"upstream_cx_active"`
	Time   Histogram `stat:"upstream_rq_time"`
	Rq     Codes     `stat:"upstream_rq_"`
	Ext    extStats  `stat:"external."`
	Text   Text      `stat:"version_text"`
	Rare   rareStats `stat:"http1.,omitempty"`
	Host   string    // a struct may keep its own fields
}

type rareStats struct {
	Dropped Counter   `stat:"dropped"`
	Open    Gauge     `stat:"open"`
	Time    Histogram `stat:"time"`
}

type extStats struct {
	Rq Codes `stat:"upstream_rq_"`
}

func mustSnapshot(t testing.TB, s *Store) *Snapshot {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func wantValue(t *testing.T, s *Snapshot, name string, want int64) {
	t.Helper()
	if got, ok := s.Value(name); !ok || got != want {
		t.Errorf("%s = %d (present: %v), want %d", name, got, ok, want)
	}
}

func TestSnapshotSumsOwners(t *testing.T) {
	store, loops := newStore(t, 3)
	g := NewGroup[clusterStats](store, Scope{Prefix: "cluster.a:b."})
	for owner, l := range loops {
		l.do(func() {
			s := g.For(owner)
			s.Total.Add(uint64(10 * owner))
			s.Active.Add(int64(owner))
			s.Rq.Inc(200)
			s.Rq.Inc(503)
			s.Ext.Rq.Inc(204)
		})
	}
	store.Counter("runtime.load_success").Inc()
	s := mustSnapshot(t, store)
	wantValue(t, s, "cluster.a_b.upstream_cx_total", 30)
	wantValue(t, s, "cluster.a_b.upstream_cx_active", 3)
	wantValue(t, s, "cluster.a_b.upstream_rq_200", 3)
	wantValue(t, s, "cluster.a_b.upstream_rq_5xx", 3)
	wantValue(t, s, "cluster.a_b.upstream_rq_completed", 6)
	wantValue(t, s, "cluster.a_b.external.upstream_rq_2xx", 3)
	wantValue(t, s, "runtime.load_success", 1)
}

func TestGroupOfSamePrefixIsShared(t *testing.T) {
	store, loops := newStore(t, 1)
	old := NewGroup[clusterStats](store, Scope{Prefix: "cluster.a."})
	loops[0].do(func() { old.For(0).Total.Inc() })
	replacement := NewGroup[clusterStats](store, Scope{Prefix: "cluster.a."})
	old.Close()
	loops[0].do(func() { replacement.For(0).Total.Inc() })
	wantValue(t, mustSnapshot(t, store), "cluster.a.upstream_cx_total", 2)
	replacement.Close()
	if _, ok := mustSnapshot(t, store).Value("cluster.a.upstream_cx_total"); ok {
		t.Error("a closed group is still shown")
	}
}

// Counting goes on while scrapes and flushes run: the race detector's turn.
func TestSnapshotWhileCounting(t *testing.T) {
	store, loops := newStore(t, 3)
	var groups []*Group[clusterStats]
	for i := range 2*visitBatch + 1 {
		groups = append(groups, NewGroup[clusterStats](store, Scope{Prefix: string(rune('a'+i%26)) + string(rune('a'+i/26)) + "."}))
	}
	var wg sync.WaitGroup
	const rounds = 20
	for owner, l := range loops {
		wg.Go(func() {
			for range rounds {
				l.do(func() {
					for _, g := range groups {
						g.For(owner).Total.Inc()
						g.For(owner).Rq.Inc(200)
						g.For(owner).Time.Record(7)
					}
				})
			}
		})
	}
	for range rounds {
		mustSnapshot(t, store)
		<-store.Flush()
	}
	wg.Wait()
	<-store.Flush()
	s := mustSnapshot(t, store)
	wantValue(t, s, "aa.upstream_cx_total", 3*rounds)
	for _, g := range s.groups {
		if len(g.hists) > 0 && g.hists[0].state.total.Count() != 3*rounds {
			t.Fatalf("%s: %d values in the histogram, want %d", g.scope.Prefix, g.hists[0].state.total.Count(), 3*rounds)
		}
	}
}

func TestOmitEmpty(t *testing.T) {
	store, loops := newStore(t, 2)
	g := NewGroup[clusterStats](store, Scope{Prefix: "c."})
	page := func() string {
		<-store.Flush()
		var b strings.Builder
		if err := mustSnapshot(t, store).WriteText(&b, Options{Types: All, Filter: regexp.MustCompile(`http1|active`)}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := "c.upstream_cx_active: 0\n"
	if got := page(); got != want {
		t.Errorf("before any use: %q, want %q", got, want)
	}
	loops[0].do(func() { g.For(0).Total.Inc() })
	if got := page(); got != want {
		t.Errorf("before their use: %q, want %q", got, want)
	}
	loops[0].do(func() { g.For(0).Rare.Dropped.Inc(); g.For(0).Rare.Open.Set(0); g.For(0).Rare.Time.Record(0) })
	want = "c.http1.dropped: 1\nc.http1.open: 0\n" + want + "c.http1.time: P0(0,0)"
	if got := page(); !strings.HasPrefix(got, want) {
		t.Errorf("after their use: %q, want %q", got, want)
	}
}

func TestResetCounters(t *testing.T) {
	store, loops := newStore(t, 2)
	g := NewGroup[clusterStats](store, Scope{Prefix: "c."})
	loops[1].do(func() { g.For(1).Total.Add(5); g.For(1).Active.Set(2); g.For(1).Rq.Inc(200) })
	if err := store.ResetCounters(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := mustSnapshot(t, store)
	wantValue(t, s, "c.upstream_cx_total", 0)
	wantValue(t, s, "c.upstream_cx_active", 2)
	wantValue(t, s, "c.upstream_rq_200", 0)
}

type stuck struct{}

func (stuck) Post(func()) {}

func TestSnapshotReportsStuckOwner(t *testing.T) {
	store := NewStore(startLoop(t), stuck{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := store.Snapshot(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
}

func TestCloseEndsFlush(t *testing.T) {
	store := NewStore(stuck{})
	NewGroup[clusterStats](store, Scope{Prefix: "c."})
	done := store.Flush()
	<-store.Flush() // does not wait for the first
	store.Close()
	<-done
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	store, _ := newStore(t, 1)
	s := NewGroup[clusterStats](store, Scope{Prefix: "c."}).For(0)
	if n := testing.AllocsPerRun(100, func() {
		s.Total.Inc()
		s.Active.Inc()
		s.Active.Dec()
		s.Time.Record(12)
		s.Rq.Inc(200)
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkCount(b *testing.B) {
	store, _ := newStore(b, 1)
	s := NewGroup[clusterStats](store, Scope{Prefix: "c."}).For(0)
	b.ReportAllocs()
	for i := range b.N {
		s.Total.Inc()
		s.Active.Inc()
		s.Active.Dec()
		s.Time.Record(uint64(i) & 1023)
		s.Rq.Inc(200)
	}
}
