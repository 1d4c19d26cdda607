package fdstore

import (
	"sync/atomic"
	"time"
)

// state is how far a connection is.
type state = uint32

const (
	free   state = iota // not one that can go on
	busy                // bytes of it are in the proxy only
	idle                // nothing was read or written, or all that was is answered
	held                // what was read lies in the store, and nothing has come of it yet
	paired              // all that is read goes on to another, as it is, and the other way round
)

// Key says how a connection came in, so that the next proxy can find its way.
type Key struct {
	Listener string
	Pod      uint32 // whose socket it came by; 0: the listener's own
	Inbound  bool   // to the pod
}

// Chain names a listener's filter chain for the next proxy, whose
// configuration need not be the same.
type Chain struct {
	Name  uint64 // a hash of its name; 0: it has none
	Index uint16 // among the listener's
	Of    uint16 // how many there are; 0: the chain is not known
}

// Past is how often a connection has gone on already, one time soon after the
// other: if it is what the proxies die of, it must not for ever.
type Past struct {
	Last  int64 // nanoseconds of CLOCK_BOOTTIME
	Times uint32
	_     uint32
}

// A connection that goes on oftener than mostTimes, each time within soon of
// the last, is closed.
const (
	mostTimes = 3
	soon      = 10 * time.Second
)

// next is the past of a connection that goes on now; ok tells whether it may.
func (p Past) next(now time.Duration) (next Past, ok bool) {
	next = Past{Last: int64(now), Times: 1}
	if p.Times > 0 && now-time.Duration(p.Last) < soon {
		next.Times = p.Times + 1
	}
	return next, next.Times <= mostTimes
}

// maxName is the longest name of a listener whose connections are kept, in
// bytes.
const maxName = 96

// Entry is one descriptor's. It lies in memory that outlives the process, as
// a whole: there are no pointers in it. But for the state it is used by one
// worker at a time, and by the store's process after the end.
type Entry struct {
	state    state
	before   state  // the read that is tried
	pod      uint32 // of the key
	partner  uint32 // the descriptor that it is paired with
	chain    Chain
	past     Past
	place    uint32 // of what is held, from 1; 0: none
	length   uint32 // of what is held
	inbound  bool
	holds    bool // what is read is to be held
	spent    bool // but no more until all is answered
	answered bool // as soon as all is written
	unread   bool // answered, before the read that is tried
	nameLen  uint8
	name     [maxName]byte
}

func (e *Entry) set(s state) { atomic.StoreUint32(&e.state, s) }

// open begins the entry of a connection. begun says that it is not at its
// beginning.
func (e *Entry) open(k Key, past Past, begun bool) {
	*e = Entry{state: e.state, pod: k.Pod, inbound: k.Inbound, past: past, spent: begun}
	e.nameLen = uint8(copy(e.name[:], k.Listener))
	if begun {
		e.set(busy)
	} else {
		e.set(idle)
	}
}

func (e *Entry) key() Key {
	return Key{Listener: string(e.name[:e.nameLen]), Pod: e.pod, Inbound: e.inbound}
}

// SetChain notes the filter chain of the connection.
func (e *Entry) SetChain(c Chain) { e.chain = c }

// Reading comes before a read, Unread after one that found nothing.
func (e *Entry) Reading() {
	e.before, e.unread, e.answered = e.state, e.answered, false
	e.set(busy)
}

func (e *Entry) Unread() {
	e.answered = e.unread
	e.set(e.before)
}

// Hold has what is read from now on held, until something comes of it.
func (e *Entry) Hold() { e.holds = true }

// Spend tells that something comes of what was read that must not come twice.
func (e *Entry) Spend() {
	e.spent = true
	e.set(busy)
}

// Writing comes before a write, Written after one that left nothing to write.
func (e *Entry) Writing() { e.Spend() }

func (e *Entry) Written() {
	if e.answered {
		e.rest()
	}
}

// rest tells that nothing of the connection is in the proxy.
func (e *Entry) rest() {
	e.answered, e.spent = false, false
	e.set(idle)
}
