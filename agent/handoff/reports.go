package handoff

import (
	"context"
	"slices"
)

// reports is what the server is told of connections. Server.mu guards it.
type reports struct {
	seq      uint32
	pending  map[question]*answer
	watchers map[*Watcher]bool
}

// question is what one proxy was asked.
type question struct {
	conn *conn
	seq  uint32
}

// answer is that of all proxies to one question.
type answer struct {
	connections []Connection
	waiting     int // for so many proxies
	done        chan struct{}
}

func newReports() reports {
	return reports{pending: map[question]*answer{}, watchers: map[*Watcher]bool{}}
}

// maxListed bounds what is kept of one answer; a proxy may have more.
const maxListed = 100_000

// Connections asks all proxies for those that live. What has not come when
// ctx is done is missing.
func (s *Server) Connections(ctx context.Context) []Connection {
	a := s.ask()
	select {
	case <-a.done:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for q, other := range s.reports.pending {
		if other == a {
			delete(s.reports.pending, q)
		}
	}
	return a.connections
}

func (s *Server) ask() *answer {
	a := &answer{done: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports.seq++
	for c := range s.clients {
		if c.reports {
			a.waiting++
			s.reports.pending[question{c, s.reports.seq}] = a
			s.sendOrDrop(c, &message{Type: typeList, Seq: s.reports.seq})
		}
	}
	if a.waiting == 0 {
		close(a.done)
	}
	return a
}

// listed takes a part of an answer. One that nobody waits for is dropped.
func (s *Server) listed(c *conn, m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := question{c, m.Seq}
	a := s.reports.pending[q]
	if a == nil {
		return
	}
	if len(a.connections) < maxListed {
		a.connections = append(a.connections, m.Connections...)
	}
	if !m.More {
		s.reports.finish(q, a)
	}
}

func (r *reports) finish(q question, a *answer) {
	delete(r.pending, q)
	if a.waiting--; a.waiting == 0 {
		close(a.done)
	}
}

// gone waits no more for a proxy. The caller has s.mu.
func (s *Server) gone(c *conn) {
	for q, a := range s.reports.pending {
		if q.conn == c {
			s.reports.finish(q, a)
		}
	}
}

// Watcher is told of connections that end.
type Watcher struct {
	// Closed gets them in batches. Who does not read loses some.
	Closed chan []Connection
}

// Watch tells of connections that end from now on, until [Server.Unwatch].
func (s *Server) Watch() *Watcher {
	w := &Watcher{Closed: make(chan []Connection, 256)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports.watchers[w] = true
	if len(s.reports.watchers) == 1 {
		s.tellWatch(true)
	}
	return w
}

// Unwatch ends what Watch began.
func (s *Server) Unwatch(w *Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reports.watchers, w)
	if len(s.reports.watchers) == 0 {
		s.tellWatch(false)
	}
}

func (s *Server) tellWatch(on bool) {
	for c := range s.clients {
		if c.reports {
			s.sendOrDrop(c, &message{Type: typeWatch, Watch: on})
		}
	}
}

func (s *Server) closed(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.reports.watchers {
		select {
		case w.Closed <- slices.Clone(m.Connections):
		default: // it is too slow
		}
	}
}
