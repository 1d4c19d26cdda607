package listener

import "golang.org/x/sys/unix"

// A socket that the agent made outlives the proxy, with the connections that
// wait in it. If it is the client who speaks first, the kernel is asked to
// keep a connection waiting until it has: what the proxy has accepted before,
// a killed one takes along, with the request that it has not read yet.

// deferSeconds is for how long the kernel waits for the client's first bytes.
const deferSeconds = 1

// deferAttached does so for the sockets that are attached to l.
func (m *Manager) deferAttached(l *Listener) {
	for _, a := range m.attached {
		if a.listener == l.name {
			a.deferAccept(l.waitsForClient())
		}
	}
}

// deferAccept may fail: then connections are accepted at once.
func (a *attachment) deferAccept(on bool) {
	seconds := 0
	if on {
		seconds = deferSeconds
	}
	_ = unix.SetsockoptInt(a.fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
}

// waitsForClient reports whether nothing happens to a connection before its
// client's first bytes: a listener filter asks for them, or every chain.
func (l *Listener) waitsForClient() bool {
	for _, f := range l.filters {
		if _, asks := f.Filter.(DataFilter); asks && f.disabled == nil {
			return true
		}
	}
	for _, c := range l.chains {
		if !c.clientFirst {
			return false
		}
	}
	return l.defaultChain == nil || l.defaultChain.clientFirst
}
