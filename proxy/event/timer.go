package event

import (
	"math/bits"
	"time"
)

// Timer calls a function once after a delay. The zero value is not ready: use
// Dispatcher.NewTimer or Dispatcher.InitTimer. Enabling and disabling are a
// few stores, so a timer can be re-armed for every request.
type Timer struct {
	next, prev *Timer // in the slot's list while linked
	w          *wheel
	f          func()
	deadline   int64 // tick at which f is due; 0 when disabled
	slot       int64 // tick at which the wheel looks at it, while linked
	level, pos uint8
}

// NewTimer makes a disabled timer that calls f on the loop.
func (d *Dispatcher) NewTimer(f func()) *Timer {
	t := &Timer{}
	d.InitTimer(t, f)
	return t
}

// InitTimer makes t, which lies inside the caller's own structure, ready.
func (d *Dispatcher) InitTimer(t *Timer, f func()) { t.w, t.f = &d.wheel, f }

// Ready tells whether the timer was initialised.
func (t *Timer) Ready() bool { return t.w != nil }

// Enable arms the timer, anew if it was armed. The resolution is a
// millisecond; a timer never fires early.
func (t *Timer) Enable(after time.Duration) {
	w := t.w
	t.deadline = int64((w.clock()+max(after, 0)+tick-1)/tick) + 1
	if t.next != nil {
		// A timer that is looked at too early is put back then: cheaper
		// than moving it at every request.
		if t.slot <= t.deadline {
			return
		}
		w.unlink(t)
	}
	w.link(t)
}

// Disable disarms the timer. It may stay linked in the wheel until its slot
// comes, and with it whatever f refers to: an hour for a timeout of an hour.
// Release unlinks it at once, for owners that are not to be armed again.
func (t *Timer) Disable() { t.deadline = 0 }

// Enabled tells whether the timer is armed.
func (t *Timer) Enabled() bool { return t.deadline != 0 }

// Release disarms the timer and lets go of it, so that its owner can be
// reused or collected.
func (t *Timer) Release() {
	t.deadline = 0
	if t.next != nil {
		t.w.unlink(t)
	}
}

const tick = time.Millisecond

// wheel is a hierarchical timing wheel (Varghese and Lauck): 256 slots of a
// millisecond, then three levels of 64 slots, each slot as long as the whole
// level below. Later deadlines wait in the last slot and are put back.
type wheel struct {
	at     int64 // the tick up to which everything was run
	levels [4]level
	clock  func() time.Duration
	count  int
}

type level struct {
	shift uint // a slot is 1<<shift ticks
	mask  int64
	used  [4]uint64 // which slots are not empty
	slots []Timer   // list heads
}

func (w *wheel) init() {
	shift := uint(0)
	for i := range w.levels {
		n := 64
		if i == 0 {
			n = 256
		}
		l := &w.levels[i]
		*l = level{shift: shift, mask: int64(n - 1), slots: make([]Timer, n)}
		for j := range l.slots {
			l.slots[j].next, l.slots[j].prev = &l.slots[j], &l.slots[j]
		}
		shift += uint(bits.Len(uint(n - 1)))
	}
}

func (w *wheel) link(t *Timer) {
	due := max(t.deadline, w.at+1)
	l := &w.levels[0]
	for i := range w.levels {
		l = &w.levels[i]
		// The slot that the wheel stands in is not looked at again in this
		// round, so a level reaches one slot short of its size.
		if (due>>l.shift)-(w.at>>l.shift) <= l.mask {
			t.level = uint8(i)
			break
		}
		if i == len(w.levels)-1 {
			due = ((w.at >> l.shift) + l.mask) << l.shift
			t.level = uint8(i)
		}
	}
	pos := (due >> l.shift) & l.mask
	t.slot, t.pos = due>>l.shift<<l.shift, uint8(pos)
	head := &l.slots[pos]
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	l.used[pos>>6] |= 1 << (pos & 63)
	w.count++
}

func (w *wheel) unlink(t *Timer) {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	l := &w.levels[t.level]
	if head := &l.slots[t.pos]; head.next == head {
		l.used[t.pos>>6] &^= 1 << (t.pos & 63)
	}
	w.count--
}

// next is when the wheel must be looked at again; ok is false when it is empty.
func (w *wheel) next() (at time.Duration, ok bool) {
	if w.count == 0 {
		return 0, false
	}
	best := int64(-1)
	for i := range w.levels {
		l := &w.levels[i]
		if d, found := l.ahead(w.at >> l.shift); found {
			if t := ((w.at >> l.shift) + d) << l.shift; best < 0 || t < best {
				best = t
			}
		}
	}
	return time.Duration(best) * tick, best >= 0
}

// ahead is how many slots after cur the next used one is (1..size).
func (l *level) ahead(cur int64) (int64, bool) {
	n := l.mask + 1
	for d := int64(1); d <= n; {
		pos := (cur + d) & l.mask
		word := l.used[pos>>6] >> (pos & 63)
		if word != 0 {
			return d + int64(bits.TrailingZeros64(word)), true
		}
		d += 64 - (pos & 63)
	}
	return 0, false
}

// due tells cheaply whether anything may have to run.
func (w *wheel) due(now time.Duration) bool { return w.count > 0 && int64(now/tick) > w.at }

// advance runs what is due up to now.
func (w *wheel) advance(now time.Duration) {
	end := int64(now / tick)
	for w.at < end {
		at, ok := w.next()
		if !ok || int64(at/tick) > end {
			break
		}
		w.at = int64(at / tick)
		for i := len(w.levels) - 1; i >= 0; i-- {
			l := &w.levels[i]
			if w.at&(1<<l.shift-1) == 0 || i == 0 {
				w.run(&l.slots[(w.at>>l.shift)&l.mask])
			}
		}
	}
	w.at = max(w.at, end)
}

// run takes every timer out of a slot: calls those that are due and puts the
// others back where they belong.
func (w *wheel) run(head *Timer) {
	for n := w.count; n > 0 && head.next != head; n-- {
		t := head.next
		w.unlink(t)
		switch {
		case t.deadline == 0:
		case t.deadline <= w.at:
			t.deadline = 0
			t.f()
		default:
			w.link(t)
		}
	}
}
