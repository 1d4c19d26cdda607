package listener

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
