package event

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// moderation is for the loop what interrupt moderation is for a network card.
//
// A peer that multiplexes sends each of its many small answers by itself. A
// loop that is quick enough is then woken for every one of them: it reads a
// few hundred bytes, which the kernel acknowledges at once, and writes as few.
// A loop that finds one such crumb turn after turn, without ever having had to
// wait for it, rests for a moment, and finds several. Its answers are late by
// that moment, less than a tenth of a millisecond, and only while it is that
// busy: a loop that waits for its events is never slowed down.
type moderation struct {
	busy   int  // turns in a row that had something to do at once
	single bool // the last of them had one event
	crumb  bool // and it was a crumb
}

const (
	chasing = 8     // busy turns before the loop rests
	rest    = 10000 // ns; the kernel adds up to its timers' slack of 50 µs
)

// Crumb tells that the handler that is running was called for little: a few
// bytes of a connection of many streams.
func (d *Dispatcher) Crumb() { d.moderation.crumb = true }

// polled notes what a poll that did not block has brought.
func (m *moderation) polled(events int) {
	m.busy++
	m.single = events == 1
}

// waited notes that there was nothing to do.
func (m *moderation) waited() { m.busy = 0 }

// due tells whether to rest before the next poll.
func (m *moderation) due() bool {
	due := m.crumb && m.single && m.busy >= chasing
	m.crumb = false
	return due
}

// doze gives up the processor for rest.
func doze() {
	ts := unix.Timespec{Nsec: rest}
	syscall.Syscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&ts)), 0, 0)
}
