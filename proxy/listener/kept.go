package listener

import (
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/internal/fdstore"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
)

// keep has the socket, which came by pod's if that is not nil, go on when the
// process is killed. Until it is read from, that is as good as not to have
// accepted it.
func (s *Socket) keep(pod *PodSocket) {
	k := fdstore.Key{Listener: s.listener.l.name}
	if pod != nil {
		k.Pod, k.Inbound = pod.Pod.ID, pod.Direction == pods.Inbound
	}
	s.listener.h.loop.Kept.Open(s.fd, k, s.past, len(s.begun) > 0 || s.partner > 0)
}

// forget has the socket end with the process.
func (s *Socket) forget() { s.listener.h.loop.Kept.Forget(s.fd) }

// close closes a socket that is no connection yet.
func (s *Socket) close() {
	s.forget()
	network.CloseFD(s.fd)
	if s.partner > 0 {
		network.CloseFD(s.partner)
	}
}

// heirPatience is how long a connection of a proxy before this one waits for
// the listener or the pod's socket that it came by.
const heirPatience = 10 * time.Second

// GoOn takes in a connection that a proxy before this one had, now or once
// there is what it came by.
func (m *Manager) GoOn(c fdstore.Conn) {
	m.sayGoingOn()
	if m.take(c) {
		return
	}
	m.waiting[&c] = true
	m.server.Main.NewTimer(func() {
		if m.waiting[&c] {
			delete(m.waiting, &c)
			c.Close()
			m.log.Warn("a connection of the proxy before has nowhere to go on", "listener", c.Key.Listener, "pod", c.Key.Pod)
		}
	}).Enable(heirPatience)
}

// sayGoingOn logs how many there were, a second after the first.
func (m *Manager) sayGoingOn() {
	if m.goingOn++; m.goingOn > 1 {
		return
	}
	m.server.Main.NewTimer(func() {
		m.log.Info("connections of the proxy before this one go on", "number", m.goingOn)
		m.goingOn = 0
	}).Enable(time.Second)
}

// takeWaiting tries again those that wait.
func (m *Manager) takeWaiting() {
	for c := range m.waiting {
		if m.take(*c) {
			delete(m.waiting, c)
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
		c.Close()
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
	if err != nil || c.Partner == 0 && ended(c.FD) {
		c.Close()
		return
	}
	s := &al.h.accepting
	*s = Socket{listener: al, fd: c.FD, Local: local, Remote: remote, directRemote: remote, begun: c.Read, partner: c.Partner, chain: c.Chain, past: c.Past}
	if s.keep(from.pod); s.partner > 0 {
		// Listener filters would take what comes next for the beginning.
		s.next = len(al.l.filters)
	}
	al.accepted(s, from)
}

func ended(fd int) bool {
	var p [1]byte
	n, errno := network.Peek(fd, p[:])
	return n == 0 && errno != network.EAGAIN
}

// named yields the listener's chains with what the next proxy finds them by.
func (l *Listener) named(yield func(*Chain, fdstore.Chain) bool) {
	all := l.chains
	if l.defaultChain != nil {
		all = append(slices.Clip(all), l.defaultChain)
	}
	for i, c := range all {
		k := fdstore.Chain{Index: uint16(i), Of: uint16(len(all))}
		if c.name != "" {
			k.Name = max(1, xxhash.Sum64String(c.name))
		}
		if !yield(c, k) {
			return
		}
	}
}

// chainOf finds one: by its name, else by its place if there are as many as
// there were. It is nil when there is none.
func (l *Listener) chainOf(k fdstore.Chain) *Chain {
	for c, is := range l.named {
		if k.Name != 0 && is.Name == k.Name || is == k {
			return c
		}
	}
	return nil
}

// dropPartner closes a connection that no filter has taken with the one that
// went on to it.
func (c *conn) dropPartner() {
	if c.Info == nil || c.Info.Partner == 0 {
		return
	}
	network.CloseFD(c.Info.Partner)
	c.Info.Partner = 0
	c.Close(network.NoFlush)
}
