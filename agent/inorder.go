package agent

import (
	"slices"
	"time"
)

// settle is how long an event waits for one that came before it: the kernel's
// and the proxies' reach the observer by ways of their own.
const settle = 50 * time.Millisecond

// inOrder holds events back until they can be told in the order of their times.
type inOrder struct{ held []Event }

// add takes e, behind those of the same time.
func (o *inOrder) add(e Event) {
	i := len(o.held)
	for i > 0 && o.held[i-1].Time.After(e.Time) {
		i--
	}
	o.held = slices.Insert(o.held, i, e)
}

// settled are those, first to last, that nothing earlier can follow any more.
func (o *inOrder) settled(now time.Time) []Event {
	n := 0
	for n < len(o.held) && now.Sub(o.held[n].Time) >= settle {
		n++
	}
	out := slices.Clone(o.held[:n])
	o.held = slices.Delete(o.held, 0, n)
	return out
}

// next is when the first of them settles; nil when there is none.
func (o *inOrder) next(now time.Time) <-chan time.Time {
	if len(o.held) == 0 {
		return nil
	}
	return time.After(o.held[0].Time.Add(settle).Sub(now))
}
