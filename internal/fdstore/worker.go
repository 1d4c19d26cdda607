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
// says that an earlier proxy has read a request from it, which this one is to
// answer.
func (w *Worker) Open(fd int, k Key, begun bool) {
	if fd < len(w.store.entries) && len(k.Listener) <= maxName {
		w.store.entries[fd].open(k, begun)
	}
}

// Opened is a descriptor's entry; nil when it has none.
func (w *Worker) Opened(fd int) *Entry {
	if fd >= len(w.store.entries) || w.store.entries[fd].state == free {
		return nil
	}
	return &w.store.entries[fd]
}

// Forget ends the entry of a connection that is to be closed, or handed to
// whom the store does not know.
func (w *Worker) Forget(e *Entry) {
	e.set(free)
	e.answered = false
	w.drop(e)
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
