package manager

import (
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
)

// An idle connection is small: it has no timer of its own and no codec.

// park puts a connection without streams at the end of the list of those
// that idle_timeout closes.
func (w *worker) park(m *ConnManager) {
	if w.cfg.idleTimeout == 0 || m.parked {
		return
	}
	m.parked, m.idleSince = true, w.loop.Now()
	m.idlePrev = w.idleTail
	if w.idleTail != nil {
		w.idleTail.idleNext = m
	} else {
		w.idleHead = m
	}
	w.idleTail = m
	if !w.idle.Enabled() {
		w.waitIdle(w.idleTimeout())
	}
}

func (w *worker) unpark(m *ConnManager) {
	if !m.parked {
		return
	}
	if m.idlePrev != nil {
		m.idlePrev.idleNext = m.idleNext
	} else {
		w.idleHead = m.idleNext
	}
	if m.idleNext != nil {
		m.idleNext.idlePrev = m.idlePrev
	} else {
		w.idleTail = m.idlePrev
	}
	m.parked, m.idleNext, m.idlePrev = false, nil, nil
	w.releaseIdle()
}

// onIdle closes the connections whose time is over and waits for the next.
func (w *worker) onIdle() {
	for w.idleHead != nil {
		m := w.idleHead
		if left := m.idleSince + w.idleTimeout() - w.loop.Now(); left > 0 {
			w.waitIdle(left)
			return
		}
		w.unpark(m)
		m.onIdle()
	}
}

// idleTimeout is what idle_timeout is at present.
func (w *worker) idleTimeout() time.Duration {
	return w.cfg.overload.Reduced(overload.ConnectionIdle, w.cfg.idleTimeout)
}

func (w *worker) waitIdle(left time.Duration) {
	if w.cfg.overload.Reduces(overload.ConnectionIdle) {
		left = w.cfg.overload.Recheck(left)
	}
	w.idle.Enable(left)
}

// reusableCodec is a codec that can serve one connection after another.
type reusableCodec interface {
	http.ServerConnection
	Idle() bool
	Attach(conn *network.Connection, cb http.ServerCallbacks)
}

// maxFreeCodecs bounds the codecs kept for reuse.
const maxFreeCodecs = 1024

// releaseCodec gives an idle codec up until the connection's next request.
func (m *ConnManager) releaseCodec() {
	if c, ok := m.codec.(reusableCodec); ok && c.Idle() && len(m.w.codecs) < maxFreeCodecs {
		m.w.codecs = append(m.w.codecs, c)
		m.codec = nil
	}
}
