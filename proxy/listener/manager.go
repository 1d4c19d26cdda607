package listener

import (
	"fmt"
	"log/slog"
	"time"

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
		active:   map[string]*Listener{}, warming: map[string]*Listener{}, draining: map[*Listener]*event.Timer{}, attached: map[int]*attachment{},
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

// retire lets a listener that serves no longer drain, and closes what is left
// of it after the drain time.
func (m *Manager) retire(l *Listener) {
	if !m.started {
		m.discard(l)
		return
	}
	l.drain.begin(m.server.Main.Time())
	m.eachHandler(func(h *handler) {
		if al := h.listeners[l]; al != nil {
			h.stop(al)
		}
	}, l.release)
	t := m.server.Main.NewTimer(func() {
		delete(m.draining, l)
		m.count()
		m.eachHandler(func(h *handler) { h.remove(l) }, l.close)
	})
	t.Enable(m.drainTime)
	m.draining[l] = t
	m.count()
}

// release gives up the listener's sockets.
func (l *Listener) release() {
	for _, b := range l.bindings {
		b.release()
	}
	l.bindings = nil
}

// discard drops a listener that never served.
func (m *Manager) discard(l *Listener) {
	l.warm.onWarm = nil
	l.release()
	l.close()
}

// replaceInPlace puts l, whose chains alone differ from old's, into its place.
// Connections of chains that l has not any more drain.
func (m *Manager) replaceInPlace(l, old *Listener) {
	m.stats.Modified.Inc()
	m.stats.InPlaceUpdated.Inc()
	for _, b := range l.bindings {
		b.refs++
	}
	if w := m.warming[l.name]; w != nil {
		m.discard(w)
	}
	swap := func() {
		old := m.active[l.name]
		m.active[l.name] = l
		m.deferAttached(l)
		var gone []*Chain
		for _, c := range append([]*Chain{old.defaultChain}, old.chains...) {
			if c != nil && !l.has(c) {
				gone = append(gone, c)
				c.drain.begin(m.server.Main.Time())
			}
		}
		m.eachHandler(func(h *handler) { h.update(l, old) }, func() {
			old.release()
			old.close()
		})
		m.drainChains(l, gone)
		m.count()
	}
	if l.warm.done() {
		delete(m.warming, l.name)
		swap()
		return
	}
	m.warming[l.name] = l
	l.warm.onWarm = func() {
		delete(m.warming, l.name)
		swap()
		m.checkInitialized()
	}
	m.count()
}

// drainChains closes the connections of chains that are gone after the drain
// time.
func (m *Manager) drainChains(l *Listener, gone []*Chain) {
	if len(gone) == 0 {
		return
	}
	m.stats.ChainsDraining.Add(int64(len(gone)))
	m.server.Main.NewTimer(func() {
		m.stats.ChainsDraining.Add(-int64(len(gone)))
		m.eachHandler(func(h *handler) { h.closeChains(gone) }, nil)
	}).Enable(m.drainTime)
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

// Remove takes a listener away. It is false when there was none, or when it
// is configured statically.
func (m *Manager) Remove(name string) bool {
	l, w := m.active[name], m.warming[name]
	if l == nil && w == nil || l != nil && l.static {
		return false
	}
	m.stats.Removed.Inc()
	if w != nil {
		delete(m.warming, name)
		m.discard(w)
	}
	if l != nil {
		delete(m.active, name)
		m.retire(l)
	}
	m.count()
	m.checkInitialized()
	return true
}

// Drain has connections closed by their protocols' own means from now on, of
// inbound listeners only or of all. Listeners still accept.
func (m *Manager) Drain(inboundOnly bool) {
	now := m.server.Main.Time()
	if !inboundOnly {
		m.drain.begin(now)
		return
	}
	for _, l := range m.active {
		if l.direction == Inbound && !l.modifyOnly {
			l.drain.begin(now)
		}
	}
}

// DrainNow is Drain of all listeners without a window: each connection is
// asked to end at once, and those that could not yet are asked by the next
// call. asked is called on main once every worker has done so, and may be nil.
func (m *Manager) DrainNow(asked func()) {
	m.drain.start.Store(m.server.Main.Time().Add(-m.drain.window).UnixNano())
	m.eachHandler(func(h *handler) {
		for _, al := range h.listeners {
			al.conns.each(func(c *conn) { c.Drain() })
		}
	}, asked)
}

// Stop ends accepting on inbound listeners only or on all, for good.
// Connections live on.
func (m *Manager) Stop(inboundOnly bool) {
	m.stopped = m.stopped || !inboundOnly
	for _, l := range m.active {
		if inboundOnly && l.direction != Inbound || l.halted {
			continue
		}
		l.halted = true
		m.stats.Stopped.Inc()
		m.eachHandler(func(h *handler) {
			if al := h.listeners[l]; al != nil {
				h.stop(al)
			}
		}, l.release)
	}
}

// Close closes all connections. Stop comes first.
func (m *Manager) Close() {
	for _, h := range m.handlers {
		h.loop.Post(func() {
			for l := range h.listeners {
				h.remove(l)
			}
		})
	}
}

// Connections is how many downstream connections there are. It may be called
// anywhere.
func (m *Manager) Connections() int64 {
	if len(m.handlers) == 0 {
		return 0
	}
	return m.handlers[0].shared.open.open.Load()
}
