package server

import (
	"github.com/weirproxy/weir/internal/fdstore"
)

// kept is what has connections go on when this process is killed.
type kept struct {
	store *fdstore.Store
	in    int // where those of the process before come from
}

// keepConnections starts the second process, if a supervisor has made the
// sockets for it. That is done first of all, for it shares what memory there
// is now.
func (s *server) keepConnections() {
	out, in, ok := fdstore.Inherited()
	if !ok || s.o.Mode != Serve {
		return
	}
	store, err := fdstore.New(s.o.Concurrency)
	if err == nil {
		err = store.Keep(out)
	}
	if err != nil {
		s.main.Warn("connections will end with this process if it is killed", "error", err)
		return
	}
	s.kept = &kept{store, in}
}

func (k *kept) begin(s *server) {
	if k == nil {
		return
	}
	for _, l := range s.loops[1:] {
		l.Kept = k.store.Worker()
	}
	go func() {
		err := fdstore.Receive(k.in, func(c fdstore.Conn) {
			s.loops[0].Post(func() { s.listeners.GoOn(c) })
		})
		s.main.Error("no more connections go on from process to process", "error", err)
	}()
}

// end has nothing go on: the proxy was told to end, and its clients know.
func (k *kept) end() {
	if k != nil {
		k.store.End()
	}
}
