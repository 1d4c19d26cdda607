package listener

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
	l.was, l.bindings = l.Addresses(), nil
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
	m.stats.CreateSuccess.Add(uint64(len(m.handlers))) // of the chains, by each worker
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
			m.drainChains(gone, old.close)
		})
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
// time, and calls done when there are none.
func (m *Manager) drainChains(gone []*Chain, done func()) {
	if len(gone) == 0 {
		done()
		return
	}
	m.stats.ChainsDraining.Add(int64(len(gone)))
	m.server.Main.NewTimer(func() {
		m.stats.ChainsDraining.Add(-int64(len(gone)))
		m.eachHandler(func(h *handler) { h.closeChains(gone) }, done)
	}).Enable(m.drainTime)
}
