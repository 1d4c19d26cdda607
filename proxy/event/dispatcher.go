package event

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Handler is called when its file descriptor becomes ready.
type Handler interface {
	// OnReady is given the edges seen. It must consume them whole: see the
	// package's comment.
	OnReady(Events)
}

// Deleter is something to be torn down at the end of the turn, when no
// handler further up the stack can still hold it.
type Deleter interface{ DeferredDelete() }

// Flusher has output gathered during a handler that is to be written once
// when the handler returns.
type Flusher interface{ Flush() }

// Dispatcher is one event loop. Only Post, Exit and Name may be called from
// other goroutines.
type Dispatcher struct {
	name  string
	epfd  int
	wake  int // eventfd that interrupts a blocking poll
	files []file
	ready []unix.EpollEvent

	base time.Time // where the monotonic clock starts
	now  time.Duration
	wall int64 // seconds of base, UNIX time

	wheel   wheel
	flush   []Flusher
	late    []Flusher // flushed at the turn's end
	deleted []Deleter

	moderation moderation

	mu       sync.Mutex
	posted   []func()
	running  []func() // the batch being run; swapped with posted
	sleeping atomic.Bool
	hasPosts atomic.Bool
	exit     atomic.Bool

	turn atomic.Int64 // start of the current turn in ns since base; 0 while polling
}

type file struct {
	h   Handler
	gen uint32
}

// New makes a dispatcher. The name appears in logs and in /server_info.
func New(name string) (*Dispatcher, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("dispatcher %s: epoll_create1: %w", name, err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("dispatcher %s: eventfd: %w", name, err)
	}
	d := &Dispatcher{name: name, epfd: epfd, wake: wake, ready: make([]unix.EpollEvent, 256), base: time.Now()}
	d.wall = d.base.UnixNano()
	d.wheel.init()
	d.wheel.clock = d.Now
	if err := d.Add(wake, wakeHandler{d}); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Close releases the loop's descriptors. The loop must have ended.
func (d *Dispatcher) Close() {
	unix.Close(d.wake)
	unix.Close(d.epfd)
}

// Name is the name given to New.
func (d *Dispatcher) Name() string { return d.name }

// Now is the loop's monotonic clock as of this turn's start: the time since
// the dispatcher was made.
func (d *Dispatcher) Now() time.Duration { return d.now }

// Time is this turn's start as wall-clock time.
func (d *Dispatcher) Time() time.Time { return d.base.Add(d.now) }

// Unix is this turn's start in UNIX seconds.
func (d *Dispatcher) Unix() int64 { return (d.wall + int64(d.now)) / int64(time.Second) }

// Refresh reads the clock anew within a turn and returns it. It is for
// measuring; timers keep to the turn's clock.
func (d *Dispatcher) Refresh() time.Duration { return time.Since(d.base) }

// Run runs the loop until Exit. It is called on the goroutine that then owns
// everything of this dispatcher.
func (d *Dispatcher) Run() {
	d.now = time.Since(d.base)
	for !d.exit.Load() {
		n := d.poll()
		d.now = time.Since(d.base)
		d.turn.Store(int64(d.now))
		for i := range n {
			d.dispatch(&d.ready[i])
		}
		if d.wheel.due(d.now) {
			d.wheel.advance(d.now)
			d.flushAll()
		}
		if d.hasPosts.Load() {
			d.runPosted()
		}
		d.deleteAll()
		d.flushLate()
		if n == len(d.ready) && n < 4096 {
			d.ready = make([]unix.EpollEvent, 2*n)
		}
		d.turn.Store(0)
	}
	d.runPosted()
	d.deleteAll()
	d.flushLate()
}

// Exit makes Run return after the current turn.
func (d *Dispatcher) Exit() {
	d.exit.Store(true)
	d.interrupt()
}

// Stuck is how long the current turn has run, or 0 while the loop polls. The
// server's watchdog calls it from its own goroutine.
func (d *Dispatcher) Stuck() time.Duration {
	t := d.turn.Load()
	if t == 0 {
		return 0
	}
	return time.Since(d.base) - time.Duration(t)
}

func (d *Dispatcher) dispatch(ev *unix.EpollEvent) {
	fd, gen := int(ev.Fd), uint32(ev.Pad)
	if fd >= len(d.files) {
		return
	}
	// A file closed earlier in this batch, or another one that got its
	// number, must not see the event.
	f := &d.files[fd]
	if f.h == nil || f.gen != gen {
		return
	}
	f.h.OnReady(Events(ev.Events))
	if len(d.flush) > 0 {
		d.flushAll()
	}
}

// FlushLater calls f.Flush when the handler that is running returns.
func (d *Dispatcher) FlushLater(f Flusher) { d.flush = append(d.flush, f) }

// FlushAtTurnEnd calls f.Flush at the end of this turn: for who gathers output
// of many handlers, such as the streams of one connection.
func (d *Dispatcher) FlushAtTurnEnd(f Flusher) { d.late = append(d.late, f) }

// flushLate runs last. What flushing sets off (a watermark that resumes a
// stream) may add to any of the turn's lists, so they are gone through again.
func (d *Dispatcher) flushLate() {
	for len(d.late) > 0 {
		for i := 0; i < len(d.late); i++ {
			f := d.late[i]
			d.late[i] = nil
			f.Flush()
		}
		d.late = d.late[:0]
		d.flushAll()
		d.deleteAll()
	}
}

func (d *Dispatcher) flushAll() {
	// Flush may schedule more.
	for i := 0; i < len(d.flush); i++ {
		f := d.flush[i]
		d.flush[i] = nil
		f.Flush()
	}
	d.flush = d.flush[:0]
}

// DeferDelete calls x.DeferredDelete at the end of this turn.
func (d *Dispatcher) DeferDelete(x Deleter) { d.deleted = append(d.deleted, x) }

func (d *Dispatcher) deleteAll() {
	for i := 0; i < len(d.deleted); i++ {
		x := d.deleted[i]
		d.deleted[i] = nil
		x.DeferredDelete()
	}
	d.deleted = d.deleted[:0]
	if len(d.flush) > 0 {
		d.flushAll()
	}
}

// poll waits for events and returns how many there are. It first asks the
// kernel without telling Go's scheduler, which costs only the system call, and
// goes to a blocking wait when there is nothing at all to do.
func (d *Dispatcher) poll() int {
	if d.moderation.due() {
		doze()
	}
	if n := epollNow(d.epfd, d.ready); n > 0 || d.hasPosts.Load() || d.exit.Load() {
		d.moderation.polled(n)
		return n
	}
	d.moderation.waited()
	d.sleeping.Store(true)
	defer d.sleeping.Store(false)
	if d.hasPosts.Load() || d.exit.Load() { // posted before the flag was seen
		return 0
	}
	timeout := -1
	if at, ok := d.wheel.next(); ok {
		wait := at - time.Since(d.base)
		if wait <= 0 {
			return 0
		}
		timeout = int(min((wait+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
	}
	n, err := unix.EpollWait(d.epfd, d.ready, timeout)
	if err != nil {
		if err == unix.EINTR {
			return 0
		}
		panic("dispatcher " + d.name + ": epoll_wait: " + err.Error())
	}
	return n
}
