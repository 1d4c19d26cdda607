package ecds

import (
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
)

// Slot is where the newest version of one configuration is.
type Slot[T any] struct {
	options      Options[T]
	types        []string
	fallback     *anypb.Any // default_config; nil: none
	fallbackPath field.Path

	byWorker []*Version[T] // each read and written on its worker only
	current  *Version[T]   // main's view
	settled  bool          // the listener need not wait (any longer)
	done     func()        // ends that wait
	ended    bool
}

// Version is one configuration compiled.
type Version[T any] struct {
	Value   T
	slot    *Slot[T]
	holders []holders // by worker
	left    int       // workers that may still use it; main's
}

type holders struct {
	count   int
	retired bool // the worker has another version
}

// Get is the version that a worker uses, nil while there is none. It is called
// on that worker.
func (s *Slot[T]) Get(worker int) *Version[T] { return s.byWorker[worker] }

// Hold keeps the version from being closed until Release, on the same worker.
func (v *Version[T]) Hold(worker int) { v.holders[worker].count++ }

// Release ends a Hold.
func (v *Version[T]) Release(worker int) {
	h := &v.holders[worker]
	if h.count--; h.count == 0 && h.retired {
		v.unused()
	}
}

// retire is called on a worker that has got another version.
func (v *Version[T]) retire(worker int) {
	h := &v.holders[worker]
	h.retired = true
	if h.count == 0 {
		v.unused()
	}
}

// unused says that one worker is through with the version.
func (v *Version[T]) unused() {
	v.slot.options.Loops[0].Post(func() {
		if v.left--; v.left == 0 {
			v.close()
		}
	})
}

func (v *Version[T]) close() {
	if f := v.slot.options.Close; f != nil {
		f(v.Value)
	}
}

// start gives all workers a version before any of them uses the slot.
func (s *Slot[T]) start(v *Version[T]) {
	s.current = v
	for i := range s.byWorker {
		s.byWorker[i] = v
	}
}

// put gives all workers another version; nil for none.
func (s *Slot[T]) put(v *Version[T]) {
	old := s.current
	s.current = v
	for i, l := range s.options.Loops {
		l.Post(func() {
			s.byWorker[i] = v
			if old != nil {
				old.retire(i)
			}
		})
	}
}

// Update implements Watcher.
func (s *Slot[T]) Update(p field.Path, config *anypb.Any) error {
	v, err := s.compile(p, config)
	if err != nil {
		return err
	}
	s.put(v)
	s.ready()
	return nil
}

// Missing implements Watcher: the default serves until something comes.
func (s *Slot[T]) Missing() {
	if s.current == nil {
		s.useDefault()
	}
	s.ready()
}

// Gone implements Watcher.
func (s *Slot[T]) Gone() {
	s.useDefault()
	s.ready()
}

func (s *Slot[T]) useDefault() {
	if s.fallback == nil {
		if s.current != nil {
			s.put(nil)
		}
		return
	}
	if v, err := s.compile(s.fallbackPath, s.fallback); err == nil { // it was good before
		s.put(v)
	}
}

// ready lets the listener go on.
func (s *Slot[T]) ready() {
	s.settled = true
	if s.done != nil {
		s.done()
	}
}

// end lets go of the version in use. What workers still hold stays until then.
func (s *Slot[T]) end() {
	if !s.ended {
		s.ended = true
		s.put(nil)
	}
}
