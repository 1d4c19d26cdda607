package fdstore

// Worker is what one worker writes its connections' states with. A nil one has
// no entries, and forgets all.
type Worker struct {
	store  *Store
	unused []uint32 // places, from 1
}

// Worker gives out the next worker's part.
func (s *Store) Worker() *Worker {
	w := &Worker{store: s}
	for range placesEach {
		s.given++
		w.unused = append(w.unused, s.given)
	}
	return w
}

// Open begins the entry of an accepted connection, if it can have one. past is
// that of one that has gone on, and begun says that it is not at its beginning.
func (w *Worker) Open(fd int, k Key, past Past, begun bool) {
	if w != nil && fd < len(w.store.entries) && len(k.Listener) <= maxName {
		w.store.entries[fd].open(k, past, begun)
	}
}

// Opened is the entry of a descriptor whose states are to be written; nil when
// it has none.
func (w *Worker) Opened(fd int) *Entry {
	if w == nil || uint(fd) >= uint(len(w.store.entries)) { // none, or one too many
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
	if w == nil || uint(fd) >= uint(len(w.store.entries)) {
		return
	}
	if e := &w.store.entries[fd]; e.state != free {
		e.set(free)
		w.drop(e)
	}
}

// Room is memory for n bytes that were read, behind those that are held; nil
// when they can't be held. Held must follow.
func (w *Worker) Room(e *Entry, n int) []byte {
	if e.spent || !e.holds || int(e.length)+n > roomEach || e.place == 0 && len(w.unused) == 0 {
		e.spent = true
		return nil
	}
	if e.place == 0 {
		e.place = w.unused[len(w.unused)-1]
		w.unused = w.unused[:len(w.unused)-1]
	}
	at := int(e.place-1)*roomEach + int(e.length)
	e.length += uint32(n)
	return w.store.rooms[at : at+n : at+n]
}

// Held tells that the bytes are there.
func (e *Entry) Held() { e.set(held) }

// Answered tells that all that came of what was read is complete, though
// written perhaps not.
func (w *Worker) Answered(e *Entry, written bool) {
	w.drop(e)
	if e.answered = !written; written {
		e.rest()
	}
}

func (w *Worker) drop(e *Entry) {
	if e.place != 0 {
		w.unused = append(w.unused, e.place)
		e.place, e.length = 0, 0
	}
}
