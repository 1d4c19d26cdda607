package listener

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/proxy/network"
)

// attachment is a listening socket that was made elsewhere.
type attachment struct {
	source
	listener string
}

// AttachSocket has the named listener, now or once there is one, accept from
// a listening socket that was made elsewhere. The manager owns fd from then
// on, whatever it returns.
func (m *Manager) AttachSocket(listener string, fd int, pod PodSocket) error {
	if listening, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listening == 0 {
		unix.Close(fd)
		return fmt.Errorf("attach a socket to listener %q: descriptor %d is not a listening socket", listener, fd)
	}
	addr, err := network.LocalName(fd)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("attach a socket to listener %q: %w", listener, err)
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	a := &attachment{
		source:   source{fd: fd, bound: addr, alone: len(m.handlers) == 1, pod: &pod},
		listener: listener,
	}
	m.attached[fd] = a
	m.acceptFrom(a)
	return nil
}

// acceptFrom leaves clients in the socket's queue while there is nobody to
// serve them.
func (m *Manager) acceptFrom(a *attachment) {
	l := m.active[a.listener]
	if l == nil || !m.started || l.halted || m.yields {
		return
	}
	a.deferAccept(l.waitsForClient())
	m.eachHandler(func(h *handler) {
		if al := h.listeners[l]; al != nil {
			al.accept(a.source)
		}
	}, nil)
	m.takeWaiting()
}

// Yield leaves the attached sockets to another proxy that accepts from them
// (true), or takes them up again.
func (m *Manager) Yield(on bool) {
	if m.yields == on {
		return
	}
	m.yields = on
	for fd, a := range m.attached {
		if on {
			m.eachHandler(func(h *handler) { h.detach(fd) }, nil)
		} else {
			m.acceptFrom(a)
		}
	}
}

// DetachSocket ends accepting from an attached socket and closes it.
// Connections that it brought live on.
func (m *Manager) DetachSocket(fd int) {
	if m.attached[fd] == nil {
		return
	}
	delete(m.attached, fd)
	m.eachHandler(func(h *handler) { h.detach(fd) }, func() { unix.Close(fd) })
}
