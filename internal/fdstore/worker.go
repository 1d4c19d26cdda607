package fdstore

// Worker is what one worker writes its connections' states with.
type Worker struct {
	store  *Store
	unused []uint32 // places for heads, from 1
}

// Worker gives out the next worker's part.
func (s *Store) Worker() *Worker {
	w := &Worker{store: s}
	for range headsEach {
		s.given++
		w.unused = append(w.unused, s.given)
	}
	return w
}

// Open begins the entry of an accepted connection, if it can have one. begun
// says that an earlier proxy has read from it what this one is to go on with.
func (w *Worker) Open(fd int, k Key, begun bool) {
	if fd < len(w.store.entries) && len(k.Listener) <= maxName {
		w.store.entries[fd].open(k, begun)
	}
}

// Opened is the entry of a descriptor whose states are to be written; nil when
// it has none.
func (w *Worker) Opened(fd int) *Entry {
	if fd >= len(w.store.entries) {
		return nil
	}
	e := &w.store.entries[fd]
	if s := e.state; s == free || s == paired {
		return nil
	}
	return e
}

// Pair tells that all that comes from either connection goes on to the other
// as it is. From then on the kernel knows whether they can go on: when as much
// was written to each as was read from the other. down is the accepted one.
func (w *Worker) Pair(down, up int) {
	d := w.Opened(down)
	if d == nil || d.chain.Of == 0 || up >= len(w.store.entries) {
		return
	}
	u := &w.store.entries[up]
	*u = Entry{state: u.state, partner: uint32(down)}
	d.partner = uint32(up)
	d.set(paired)
	u.set(paired)
}

// Forget ends the entry of a connection that is to be closed, or handed to
// whom the store does not know, if it has one.
func (w *Worker) Forget(fd int) {
	if fd >= len(w.store.entries) {
		return
	}
	if e := &w.store.entries[fd]; e.state != free {
		e.set(free)
		w.drop(e)
	}
}

// Room is memory for a request's head of n bytes that has been read; nil when
// it can't be held, for one when n is 0. Hold must follow, or Answered.
func (w *Worker) Room(e *Entry, n int) []byte {
	e.headLen = 0
	if n == 0 || e.state != busy || e.repeated || n > headRoom || len(w.unused) == 0 && e.head == 0 {
		return nil
	}
	if e.head == 0 {
		e.head = w.unused[len(w.unused)-1]
		w.unused = w.unused[:len(w.unused)-1]
	}
	e.headLen = uint32(n)
	at := int(e.head-1) * headRoom
	return w.store.heads[at : at+n : at+n]
}

// Answered tells that the response is complete, though written perhaps not,
// and that nothing more was read.
func (w *Worker) Answered(e *Entry, written bool) {
	w.drop(e)
	e.repeated = false
	if e.answered = !written; written {
		e.set(idle)
	}
}

func (w *Worker) drop(e *Entry) {
	if e.head != 0 {
		w.unused = append(w.unused, e.head)
		e.head, e.headLen = 0, 0
	}
}
