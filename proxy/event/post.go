package event

import "golang.org/x/sys/unix"

// Post runs f on the loop's goroutine, in a later turn. Functions run in the
// order in which they were posted. After Exit they are run once more and then
// dropped.
func (d *Dispatcher) Post(f func()) {
	d.mu.Lock()
	d.posted = append(d.posted, f)
	d.mu.Unlock()
	d.hasPosts.Store(true)
	if d.sleeping.Load() {
		d.interrupt()
	}
}

func (d *Dispatcher) interrupt() {
	one := [8]byte{1}
	unix.Write(d.wake, one[:]) // a full counter wakes the loop as well
}

func (d *Dispatcher) runPosted() {
	d.mu.Lock()
	d.posted, d.running = d.running[:0], d.posted
	d.hasPosts.Store(false)
	d.mu.Unlock()
	for i, f := range d.running {
		d.running[i] = nil
		f()
		if len(d.flush) > 0 {
			d.flushAll()
		}
	}
}

// wakeHandler empties the eventfd; the posts are run by the turn itself.
type wakeHandler struct{ d *Dispatcher }

func (w wakeHandler) OnReady(Events) {
	var buf [8]byte
	unix.Read(w.d.wake, buf[:])
}
