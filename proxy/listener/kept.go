package listener

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
)

// keep has the socket, which came by pod's if that is not nil, go on when the
// process is killed. Until it is read from, that is as good as not to have
// accepted it.
func (s *Socket) keep(pod *PodSocket) {
	w := s.listener.h.loop.Kept
	if w == nil {
		return
	}
	k := fdstore.Key{Listener: s.listener.l.name}
	if pod != nil {
		k.Pod, k.Inbound = pod.Pod.ID, pod.Direction == pods.Inbound
	}
	w.Open(s.fd, k, len(s.begun) > 0)
}

// forget has the socket end with the process.
func (s *Socket) forget() {
	if w := s.listener.h.loop.Kept; w != nil {
		if e := w.Opened(s.fd); e != nil {
			w.Forget(e)
		}
	}
}

// close closes a socket that is no connection yet.
func (s *Socket) close() {
	s.forget()
	network.CloseFD(s.fd)
}

// heirPatience is how long a connection of a proxy before this one waits for
// the listener or the pod's socket that it came by.
const heirPatience = 10 * time.Second

// GoOn takes in a connection that a proxy before this one had, now or once
// there is what it came by.
func (m *Manager) GoOn(c fdstore.Conn) {
	if m.take(c) {
		return
	}
	m.waiting[c.FD] = c
	m.server.Main.NewTimer(func() {
		if _, waits := m.waiting[c.FD]; waits {
			delete(m.waiting, c.FD)
			unix.Close(c.FD)
			m.log.Warn("a connection of the proxy before has nowhere to go on", "listener", c.Key.Listener, "pod", c.Key.Pod)
		}
	}).Enable(heirPatience)
}

// takeWaiting tries again those that wait.
func (m *Manager) takeWaiting() {
	for fd, c := range m.waiting {
		if m.take(c) {
			delete(m.waiting, fd)
		}
	}
}

func (m *Manager) take(c fdstore.Conn) bool {
	l := m.active[c.Key.Listener]
	if l == nil || !m.started || l.halted {
		return false
	}
	var from source
	if c.Key.Pod != 0 {
		a := m.attachedFor(c.Key)
		if a == nil {
			return false
		}
		from = a.source
	}
	m.nextWorker = (m.nextWorker + 1) % len(m.handlers)
	h := m.handlers[m.nextWorker]
	h.loop.Post(func() {
		if al := h.listeners[l]; al != nil {
			al.goOn(c, from)
			return
		}
		network.CloseFD(c.FD)
	})
	return true
}

func (m *Manager) attachedFor(k fdstore.Key) *attachment {
	for _, a := range m.attached {
		if a.listener == k.Listener && a.pod.Pod.ID == k.Pod && (a.pod.Direction == pods.Inbound) == k.Inbound {
			return a
		}
	}
	return nil
}

// goOn starts the connection's life again, unless its client has gone.
func (al *activeListener) goOn(c fdstore.Conn, from source) {
	local, remote, err := network.SocketNames(c.FD)
	if n, errno := network.Peek(c.FD, al.h.scratch[:1]); err != nil || n == 0 && errno != network.EAGAIN {
		network.CloseFD(c.FD)
		return
	}
	s := &al.h.accepting
	*s = Socket{listener: al, fd: c.FD, Local: local, Remote: remote, directRemote: remote, begun: c.Head}
	s.keep(from.pod)
	al.accepted(s, from)
}
