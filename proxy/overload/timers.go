package overload

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
)

// Timeout is a kind of timeout that reduce_timeouts shortens.
type Timeout int

// The kinds that weir has.
const (
	ConnectionIdle   Timeout = iota // HTTP_DOWNSTREAM_CONNECTION_IDLE
	StreamIdle                      // HTTP_DOWNSTREAM_STREAM_IDLE
	TransportConnect                // TRANSPORT_SOCKET_CONNECT
	ConnectionMax                   // HTTP_DOWNSTREAM_CONNECTION_MAX
	StreamFlush                     // HTTP_DOWNSTREAM_STREAM_FLUSH
	numTimeouts
)

// floor is how short a timeout may become: a time, or a share of the whole.
type floor struct {
	set   bool
	least time.Duration
	share float64 // of 1, when least is 0
}

// Reduced is what a timeout is at present.
func (m *Manager) Reduced(t Timeout, full time.Duration) time.Duration {
	if !m.Reduces(t) {
		return full
	}
	f := m.floors[t]
	least := f.least
	if least == 0 {
		least = time.Duration(f.share * float64(full))
	}
	least = min(least, full)
	return least + time.Duration((1-m.actions[reduceTimeouts].value())*float64(full-least))
}

// Reduces tells whether timeouts of this kind change at all.
func (m *Manager) Reduces(t Timeout) bool { return m != nil && m.floors[t].set }

// Recheck is how soon a timeout may have become shorter, for one that has left
// to wait: it looks again then.
func (m *Manager) Recheck(left time.Duration) time.Duration { return min(left, m.interval) }

// Timer is a timer of one of the kinds. What is armed when the load rises
// fires earlier.
type Timer struct {
	event.Timer
	m     *Manager
	kind  Timeout
	loop  *event.Dispatcher
	begun time.Duration
	full  time.Duration
	f     func()
}

// Init makes the timer, which lies inside the caller's own structure, ready.
func (t *Timer) Init(loop *event.Dispatcher, m *Manager, kind Timeout, f func()) {
	t.m, t.kind, t.loop, t.f = m, kind, loop, f
	if m.Reduces(kind) {
		f = t.look
	}
	loop.InitTimer(&t.Timer, f)
}

// Enable arms the timer, anew if it was armed.
func (t *Timer) Enable(full time.Duration) {
	if !t.m.Reduces(t.kind) {
		t.Timer.Enable(full)
		return
	}
	t.begun, t.full = t.loop.Now(), full
	t.Timer.Enable(t.m.Recheck(t.m.Reduced(t.kind, full)))
}

func (t *Timer) look() {
	if left := t.begun + t.m.Reduced(t.kind, t.full) - t.loop.Now(); left > 0 {
		t.Timer.Enable(t.m.Recheck(left))
		return
	}
	t.f()
}
