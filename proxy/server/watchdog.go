package server

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	goruntime "runtime"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
)

// watchLimits are how long a turn of a loop may take before something is done.
type watchLimits struct {
	miss, megamiss time.Duration
	kill           time.Duration // 0: never
	multikill      time.Duration // for several loops at once; 0: never
	share          float64       // of the loops that must be stuck for that, of 1
}

// killsSeveral tells whether so many of the workers are stuck that it is too
// much.
func (w *watchLimits) killsSeveral(stuck, loops int) bool {
	return w.multikill > 0 && stuck >= max(2, int(math.Ceil(w.share*float64(loops))))
}

// newWatchLimits reads a Watchdog at p.
func newWatchLimits(p field.Path, m *bootstrapv3.Watchdog) (watchLimits, error) {
	if err := field.Only(p, m, "miss_timeout", "megamiss_timeout", "kill_timeout", "max_kill_timeout_jitter", "multikill_timeout", "multikill_threshold"); err != nil {
		return watchLimits{}, err
	}
	or := func(d *durationpb.Duration, otherwise time.Duration) time.Duration {
		if d == nil {
			return otherwise
		}
		return d.AsDuration()
	}
	for name, d := range map[string]*durationpb.Duration{"miss_timeout": m.GetMissTimeout(), "megamiss_timeout": m.GetMegamissTimeout(), "kill_timeout": m.GetKillTimeout(),
		"max_kill_timeout_jitter": m.GetMaxKillTimeoutJitter(), "multikill_timeout": m.GetMultikillTimeout()} {
		if d.AsDuration() < 0 {
			return watchLimits{}, p.Dot(name).Errorf("%v is negative", d.AsDuration())
		}
	}
	w := watchLimits{or(m.GetMissTimeout(), 200*time.Millisecond), or(m.GetMegamissTimeout(), time.Second), m.GetKillTimeout().AsDuration(),
		m.GetMultikillTimeout().AsDuration(), m.GetMultikillThreshold().GetValue() / 100}
	if jitter := m.GetMaxKillTimeoutJitter().AsDuration(); w.kill > 0 && jitter > 0 {
		w.kill += rand.N(jitter)
	}
	return w, nil
}

// makeWatchdog reads watchdogs: the limits of main and of the workers.
func (s *server) makeWatchdog() (err error) {
	p := field.Path("watchdogs")
	m := s.bootstrap.GetWatchdogs()
	//lint:ignore SA1019 Envoy still takes it
	if both := s.bootstrap.GetWatchdog(); both != nil {
		if m != nil {
			return p.Errorf("only one of watchdog or watchdogs should be set!")
		}
		p, m = "", &bootstrapv3.Watchdogs{MainThreadWatchdog: both, WorkerWatchdog: both}
	}
	if err := field.Only(p, m, "main_thread_watchdog", "worker_watchdog"); err != nil {
		return err
	}
	if s.watchMain, err = newWatchLimits(p.Dot("main_thread_watchdog"), m.GetMainThreadWatchdog()); err != nil {
		return err
	}
	s.watchWorkers, err = newWatchLimits(p.Dot("worker_watchdog"), m.GetWorkerWatchdog())
	for _, name := range []string{"main_thread.", "workers."} {
		s.countMiss(name, "watchdog_miss", 0)
		s.countMiss(name, "watchdog_mega_miss", 0)
	}
	for _, l := range s.loops {
		s.countMiss("server."+threadName(l.Name())+".", "watchdog_miss", 0)
		s.countMiss("server."+threadName(l.Name())+".", "watchdog_mega_miss", 0)
	}
	return err
}

// threadName is what statistics call a loop.
func threadName(loop string) string {
	if loop == "main" {
		return "main_thread"
	}
	return loop
}

func (s *server) countMiss(prefix, name string, n uint64) { s.stats.Counter(prefix + name).Add(n) }

// watchdog counts turns that take too long, and ends a process in which one
// takes longer than kill_timeout: a loop that never comes back serves nobody.
func (s *server) watchdog(stop <-chan struct{}) {
	t := time.NewTicker(min(s.watchMain.miss, s.watchWorkers.miss) / 2)
	defer t.Stop()
	missed, megamissed := make([]bool, len(s.loops)), make([]bool, len(s.loops))
	for {
		select {
		case <-stop:
			return
		case <-t.C:
		}
		stuck := map[string]int{}
		for i, l := range s.loops {
			limits, group := s.watchWorkers, "workers."
			if i == 0 {
				limits, group = s.watchMain, "main_thread."
			}
			d := l.Stuck()
			miss, megamiss := d > limits.miss, d > limits.megamiss
			if miss && !missed[i] {
				s.countMiss(group, "watchdog_miss", 1)
				s.countMiss("server."+threadName(l.Name())+".", "watchdog_miss", 1)
			}
			if megamiss && !megamissed[i] {
				s.countMiss(group, "watchdog_mega_miss", 1)
				s.countMiss("server."+threadName(l.Name())+".", "watchdog_mega_miss", 1)
				s.main.Warn("a loop is stuck", "loop", l.Name(), "for", d.String())
			}
			missed[i], megamissed[i] = miss, megamiss
			if limits.multikill > 0 && d > limits.multikill {
				stuck[group]++
			}
			if limits.kill > 0 && d > limits.kill || limits.killsSeveral(stuck[group], len(s.loops)-1) {
				s.killed(l.Name(), d)
			}
		}
	}
}

// killed ends the process with what its goroutines do.
func (s *server) killed(loop string, d time.Duration) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:goruntime.Stack(stacks, true)]
	fmt.Fprintf(os.Stderr, "watchdog: %s is stuck for %v, longer than it may\n%s\n", loop, d, stacks)
	os.Exit(1)
}
