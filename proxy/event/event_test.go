package event

import (
	"math/rand"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newDispatcher(t testing.TB) *Dispatcher {
	t.Helper()
	d, err := New("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestPostRunsInOrderAndExitEndsRun(t *testing.T) {
	d := newDispatcher(t)
	done := make(chan struct{})
	go func() { d.Run(); close(done) }()
	var got []int
	for i := range 1000 {
		d.Post(func() { got = append(got, i) })
	}
	d.Post(d.Exit)
	<-done
	if len(got) != 1000 {
		t.Fatalf("ran %d of 1000 functions", len(got))
	}
	for i, v := range got {
		if i != v {
			t.Fatalf("function %d ran as number %d", v, i)
		}
	}
}

// TestWheelFiresEachTimerOnceAndNeverEarly drives the wheel by a clock of its
// own over random delays, re-arming and disabling.
func TestWheelFiresEachTimerOnceAndNeverEarly(t *testing.T) {
	var w wheel
	w.init()
	now := time.Duration(0)
	w.clock = func() time.Duration { return now }
	rnd := rand.New(rand.NewSource(1))
	type entry struct {
		t     Timer
		due   time.Duration
		armed bool
	}
	es := make([]*entry, 2000)
	fired := 0
	for i := range es {
		e := &entry{}
		e.t.w, e.t.f = &w, func() {
			if !e.armed {
				t.Fatalf("at %v: a timer that is not armed fired", now)
			}
			if now < e.due {
				t.Fatalf("at %v: a timer due at %v fired early", now, e.due)
			}
			if now > e.due+500*time.Millisecond {
				t.Fatalf("at %v: a timer due at %v fired late", now, e.due)
			}
			e.armed = false
			fired++
		}
		es[i] = e
	}
	delays := []time.Duration{0, time.Millisecond, 255 * time.Millisecond, 257 * time.Millisecond, 16 * time.Second, 20 * time.Minute, 30 * time.Hour}
	for step := range 20000 {
		e := es[rnd.Intn(len(es))]
		switch rnd.Intn(8) {
		case 0:
			e.t.Disable()
			e.armed = false
		case 1:
			e.t.Release()
			e.armed = false
		default:
			d := delays[rnd.Intn(len(delays))] + time.Duration(rnd.Int63n(int64(3*time.Second)))
			e.t.Enable(d)
			e.due, e.armed = now+d, true
		}
		now += time.Duration(rnd.Int63n(int64(200 * time.Millisecond)))
		w.advance(now)
		if step%1000 == 0 {
			for _, e := range es {
				if e.armed && now > e.due+500*time.Millisecond {
					t.Fatalf("at %v: a timer due at %v has not fired", now, e.due)
				}
			}
		}
	}
	for range 2_000_000 {
		at, ok := w.next()
		if !ok {
			break
		}
		now = max(now+tick, at)
		w.advance(now)
	}
	for _, e := range es {
		if e.armed {
			t.Fatalf("a timer due at %v never fired; now %v", e.due, now)
		}
	}
	if fired == 0 || w.count != 0 {
		t.Fatalf("fired %d, %d left in the wheel", fired, w.count)
	}
}

type handlerFunc func(Events)

func (f handlerFunc) OnReady(e Events) { f(e) }

func TestAClosedFileSeesNoEventOfItsBatch(t *testing.T) {
	d := newDispatcher(t)
	pair := func() [2]int {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := pair(), pair()
	calls := 0
	closeBoth := func(Events) {
		calls++
		d.Forget(a[0])
		d.Forget(b[0])
		unix.Close(a[0])
		unix.Close(b[0])
		// The same number, another file: its events are not the old one's.
		c := pair()
		if err := d.Add(c[0], handlerFunc(func(e Events) {
			if e.Readable() {
				t.Errorf("the new file saw a stale event %x", e)
			}
		})); err != nil {
			t.Error(err)
		}
		d.NewTimer(d.Exit).Enable(10 * time.Millisecond)
	}
	for _, p := range [][2]int{a, b} {
		if err := d.Add(p[0], handlerFunc(closeBoth)); err != nil {
			t.Fatal(err)
		}
		unix.Write(p[1], []byte("x"))
	}
	d.Run()
	if calls != 1 {
		t.Fatalf("handlers were called %d times, want 1", calls)
	}
}

func BenchmarkTimerRearm(b *testing.B) {
	d := newDispatcher(b)
	t := d.NewTimer(func() {})
	b.ReportAllocs()
	for b.Loop() {
		t.Enable(15 * time.Second)
		t.Disable()
	}
}

// TestModeration drives the decision to rest by what the turns bring.
func TestModeration(t *testing.T) {
	turns := func(m *moderation, n, events int, crumb bool) (rests int) {
		for range n {
			if m.due() {
				rests++
			}
			m.polled(events)
			m.crumb = crumb
		}
		return rests
	}
	for _, tt := range []struct {
		name   string
		events int
		crumb  bool
		wait   int // a wait before each of this many turns; 0 for never
		rests  bool
	}{
		{"one crumb a turn", 1, true, 0, true},
		{"several events a turn", 3, true, 0, false},
		{"one large read a turn", 1, false, 0, false},
		{"posts only", 0, true, 0, false},
		{"a wait now and then", 1, true, chasing - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var m moderation
			rests := 0
			for range 10 {
				if tt.wait == 0 {
					rests += turns(&m, 20, tt.events, tt.crumb)
					continue
				}
				m.waited()
				rests += turns(&m, tt.wait, tt.events, tt.crumb)
			}
			if (rests > 0) != tt.rests {
				t.Errorf("%d rests", rests)
			}
		})
	}
}
