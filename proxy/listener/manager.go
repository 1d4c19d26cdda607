package listener

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/stats"
)

// Options are a manager's settings.
type Options struct {
	Factories *Factories
	// DrainTime is how long connections of a listener that is gone may live
	// on (--drain-time-s).
	DrainTime time.Duration
	// DrainImmediately is --drain-strategy immediate.
	DrainImmediately bool
	// Validate makes no sockets: --mode validate.
	Validate bool
}

// Manager owns the listeners. It is used on main only.
type Manager struct {
	server    *Server
	factories *Factories
	handlers  []*handler
	shared    *server
	drain     *drain
	validate  bool
	drainTime time.Duration
	stats     *ManagerStats
	log       *slog.Logger

	active   map[string]*Listener
	warming  map[string]*Listener
	draining map[*Listener]*event.Timer
	attached map[int]*attachment
	waiting  map[int]fdstore.Conn // of a proxy before this one, by descriptor

	nextWorker int // that gets one of those
	goingOn    int // of those that were not yet told of

	started       bool
	stopped       bool
	yields        bool // attached sockets are left to another proxy
	complete      bool // EndStatic was called
	unnamed       int
	onInitialized func()
}

// NewManager makes the manager and the workers' connection handlers. The
// workers' loops need not run yet.
func NewManager(s *Server, o Options) *Manager {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	m := &Manager{
		server: s, factories: o.Factories, drainTime: o.DrainTime, log: s.Log,
		drain:    &drain{window: o.DrainTime, immediate: o.DrainImmediately},
		validate: o.Validate,
		stats:    stats.NewGroup[ManagerStats](s.Stats, stats.Scope{Prefix: "listener_manager."}).For(0),
		active:   map[string]*Listener{}, warming: map[string]*Listener{}, draining: map[*Listener]*event.Timer{}, attached: map[int]*attachment{}, waiting: map[int]fdstore.Conn{},
	}
	shared := &server{runtime: s.Runtime, overload: s.Overload, log: s.Log}
	for w, loop := range s.Workers {
		shared.handlers = append(shared.handlers, newHandler(loop, w, shared))
	}
	m.handlers, m.shared = shared.handlers, shared
	return m
}

// Start makes the active listeners listen. The server calls it once, when all
// that must be there first is.
func (m *Manager) Start() error {
	m.started = true
	m.stats.WorkersStarted.Set(1)
	for _, l := range m.active {
		if err := m.serve(l, nil); err != nil {
			return err
		}
	}
	return nil
}

// EndStatic tells that the listeners to start with have been added: those of
// the bootstrap, and those of the first LDS response if there is LDS.
func (m *Manager) EndStatic() {
	m.complete = true
	m.checkInitialized()
}

// Dynamic are the names of the listeners that are not in the bootstrap.
func (m *Manager) Dynamic() (names []string) {
	seen := map[string]bool{}
	for _, set := range []map[string]*Listener{m.active, m.warming} {
		for name, l := range set {
			if !l.static && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// OnInitialized calls f once EndStatic was called and no listener warms.
func (m *Manager) OnInitialized(f func()) {
	m.onInitialized = f
	m.checkInitialized()
}

func (m *Manager) checkInitialized() {
	if f := m.onInitialized; f != nil && m.complete && len(m.warming) == 0 {
		m.onInitialized = nil
		f()
	}
}

// install takes a compiled listener in: it binds its sockets and activates it
// now or when it is warm.
func (m *Manager) install(l, old *Listener) error {
	if !m.validate {
		if err := m.bindAll(l); err != nil {
			return err
		}
	}
	if old == nil {
		m.stats.Added.Inc()
	} else {
		m.stats.Modified.Inc()
	}
	if w := m.warming[l.name]; w != nil {
		m.discard(w)
	}
	if l.warm.done() {
		delete(m.warming, l.name)
		m.count()
		m.activate(l)
		return nil
	}
	m.warming[l.name] = l
	l.warm.onWarm = func() {
		delete(m.warming, l.name)
		m.activate(l)
		m.checkInitialized()
	}
	m.count()
	return nil
}

// bindAll binds l's addresses, or shares sockets that other listeners of the
// same name have.
func (m *Manager) bindAll(l *Listener) error {
	for i, b := range l.bindings {
		for _, old := range []*Listener{m.active[l.name], m.warming[l.name]} {
			if have := old.serving(b); have != nil && l.bind {
				l.bindings[i] = have
				break
			}
		}
		b = l.bindings[i]
		b.refs++
		if len(b.fds) > 0 || !l.bind {
			continue
		}
		if err := b.bind(len(m.handlers), m.server.Inherit); err != nil {
			for _, done := range l.bindings[:i+1] {
				done.release()
			}
			return fmt.Errorf("listener %q: %w", l.name, err)
		}
	}
	return nil
}

func (l *Listener) serving(b *bound) *bound {
	if l == nil {
		return nil
	}
	for _, have := range l.bindings {
		if have.serves(b) {
			return have
		}
	}
	return nil
}

// activate puts a warm listener in the place of the one before it.
func (m *Manager) activate(l *Listener) {
	old := m.active[l.name]
	m.active[l.name] = l
	if m.started && !m.stopped {
		if err := m.serve(l, old); err != nil {
			m.stats.CreateFailure.Inc()
			m.log.Error("listener can't listen", "listener", l.name, "err", err)
		}
	}
	if old != nil {
		m.retire(old)
	}
	m.count()
}

// serve starts l on the workers.
func (m *Manager) serve(l, old *Listener) error {
	for _, b := range l.bindings {
		if err := b.listen(); err != nil {
			return err
		}
	}
	m.deferAttached(l)
	for w, h := range m.handlers {
		sources := m.sources(l, w)
		h.loop.Post(func() { h.add(l, old, sources) })
		m.stats.CreateSuccess.Inc()
	}
	m.takeWaiting()
	return nil
}

func (m *Manager) sources(l *Listener, w int) []source {
	var out []source
	for _, b := range l.bindings {
		if fd, ok := b.forWorker(w); ok {
			out = append(out, source{fd: fd, bound: b.addr, alone: len(b.fds) > 1 || len(m.handlers) == 1})
		}
	}
	for _, a := range m.attached {
		if a.listener == l.name && !m.yields {
			out = append(out, a.source)
		}
	}
	return out
}

// eachHandler runs f on every worker and then, when all have run it, done on
// main.
func (m *Manager) eachHandler(f func(*handler), done func()) {
	left := len(m.handlers)
	for _, h := range m.handlers {
		h.loop.Post(func() {
			f(h)
			m.server.Main.Post(func() {
				if left--; left == 0 && done != nil {
					done()
				}
			})
		})
	}
}

func (m *Manager) count() {
	m.stats.Active.Set(int64(len(m.active)))
	m.stats.Warming.Set(int64(len(m.warming)))
	m.stats.Draining.Set(int64(len(m.draining)))
}
