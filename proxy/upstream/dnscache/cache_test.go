package dnscache

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{
		"a.test": "a.test 80 true", "a.test:8080": "a.test 8080 true", "[::1]": "::1 80 true", "[::1]:81": "::1 81 true",
		"::1": "::1 80 true", "10.0.0.1:5": "10.0.0.1 5 true", "": " 80 false", ":80": " 80 false", "a.test:x": " 0 false", "a.test:70000": " 0 false",
	} {
		host, port, ok := Split(in, 80)
		if got := fmt.Sprint(host, " ", port, " ", ok); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

// answers is a resolver that answers by hand.
type answers struct {
	asked []string
	done  []func(dns.Answer)
}

func (a *answers) Lookup(_ context.Context, _ *dns.Config, name string, _ dns.Family, done func(dns.Answer)) {
	a.asked, a.done = append(a.asked, name), append(a.done, done)
}

type watcher struct{ seen []string }

func (w *watcher) OnAddress(e *Entry) {
	a := e.Addresses()[0]
	w.seen = append(w.seen, e.Key+" "+a.String())
}
func (w *watcher) OnRemoved(e *Entry) { w.seen = append(w.seen, e.Key+" removed") }

type rig struct {
	*Cache
	main, worker *network.Loop
	dns          answers
	w            watcher
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	r := &rig{}
	loop := func(i int) *network.Loop {
		l, err := network.NewLoop(fmt.Sprint("loop", i), i)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)
		return l
	}
	r.main, r.worker = loop(0), loop(1)
	cfg.Name, cfg.Refresh, cfg.MinRefresh, cfg.QueryTimeout = "c", time.Hour, time.Second, time.Hour
	cfg.FailBase, cfg.FailMax = time.Hour, time.Hour
	r.Cache = New(r.main, stats.NewStore(r.main, r.worker), &r.dns, cfg)
	t.Cleanup(r.Close)
	r.Watch(&r.w)
	return r
}

// run lets a loop do what was posted to it.
func run(l *network.Loop) {
	l.Post(l.Exit)
	l.Run()
}

func (r *rig) answer(addr string, err error) {
	a := dns.Answer{Err: err, TTL: time.Minute}
	if addr != "" {
		a.Addrs = []netip.Addr{netip.MustParseAddr(addr)}
	}
	r.dns.done[0](a)
	r.dns.done = r.dns.done[1:]
	run(r.main)
}

func TestNamesAreResolvedOnce(t *testing.T) {
	r := newRig(t, Config{MaxHosts: 2, MaxPending: 2, HostTTL: time.Hour})
	called := 0
	done := func(e *Entry) { called++ }
	_, w1, s1 := r.Load("a.test", 80, r.worker, done)
	_, w2, s2 := r.Load("a.test", 80, r.worker, done)
	if s1 != Loading || s2 != Loading {
		t.Fatalf("%v %v", s1, s2)
	}
	if _, _, s := r.Load("b.test", 80, r.worker, done); s != Pending {
		t.Errorf("a third waits: %v", s)
	}
	w2.Cancel()
	_ = w1
	run(r.main)
	if len(r.dns.asked) != 1 {
		t.Fatalf("asked %v", r.dns.asked)
	}
	r.answer("10.0.0.1", nil)
	run(r.worker)
	if called != 1 || len(r.w.seen) != 1 || r.w.seen[0] != "a.test:80 10.0.0.1:80" {
		t.Errorf("called %d times; watched %v", called, r.w.seen)
	}
	e, _, s := r.Load("a.test", 80, r.worker, done)
	if a := e.Addresses(); s != Ready || len(a) != 1 || a[0].String() != "10.0.0.1:80" {
		t.Errorf("%v %v", s, a)
	}
	if _, _, s := r.Load("a.test", 81, r.worker, done); s != Loading {
		t.Errorf("another port: %v", s)
	}
	if _, _, s := r.Load("c.test", 80, r.worker, done); s != Overflow {
		t.Errorf("a third name: %v", s)
	}
}

func TestFailuresAndRefresh(t *testing.T) {
	r := newRig(t, Config{MaxHosts: 9, MaxPending: 9})
	e, _, _ := r.Load("a.test", 80, r.worker, func(*Entry) {})
	run(r.main)
	r.answer("", errors.New("server failure"))
	if e.Addresses() != nil || !e.resolved.Load() || e.Failure() != "server failure" {
		t.Errorf("%+v", e)
	}
	r.resolve(e)
	r.answer("10.0.0.1", nil)
	r.resolve(e)
	r.answer("10.0.0.2", nil)
	r.resolve(e)
	r.answer("", errors.New("server failure"))
	if a := e.Addresses()[0]; a.String() != "10.0.0.2:80" || len(r.w.seen) != 2 {
		t.Errorf("%v; watched %v", a, r.w.seen)
	}
	r.refresh(e) // a host_ttl of 0: it is unused
	if !e.Gone() || r.w.seen[2] != "a.test:80 removed" || len(r.entries) != 0 {
		t.Errorf("gone %v; watched %v", e.Gone(), r.w.seen)
	}
}
