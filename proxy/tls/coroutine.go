package tls

import "iter"

// coroutine runs one handshake after the other. next runs it until it leaves:
// with nil when it waits for bytes or has ended, or with work that is to be done
// on another goroutine. stop makes what it runs, and itself, end. Whoever calls
// these must not hold its thread (runtime.LockOSThread): Go ends the process
// when one that does and one that does not run the same coroutine.
type coroutine struct {
	run  func()
	next func() (work func(), ok bool)
	stop func()
	// leave returns when next is called again; false says that stop was.
	leave func(work func()) bool
}

// parked are coroutines that have nothing to run. Their stacks are as large as
// a handshake needs: a new one's grows four times on its way there.
var parked = make(chan *coroutine, 16)

// newCoroutine is one that runs its run at the first next.
func newCoroutine() *coroutine {
	select {
	case c := <-parked:
		return c
	default:
	}
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(func()) bool) {
		stopped := false
		c.leave = func(work func()) bool {
			stopped = stopped || !yield(work)
			return !stopped
		}
		for !stopped {
			c.run()
			c.leave(nil)
		}
	})
	return c
}

// park keeps c for another handshake, after its own has ended.
func (c *coroutine) park() {
	c.run = nil
	select {
	case parked <- c:
	default:
		c.stop()
	}
}
