package pool

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// pending is a request that waits for a connection.
type pending struct {
	prev, next *pending // in the pool's queue; next alone in the free list
	pool       *HTTP1
	dec        http.ResponseDecoder
	cb         StreamCallbacks
}

// Cancel implements Cancellable.
func (w *pending) Cancel() {
	p := w.pool
	p.o.Stats.UpstreamRqCancelled.Inc()
	p.queue.remove(w)
	p.forget(w)
	p.maybeDone()
}

// queue is first in, first out.
type queue struct {
	first, last *pending
	n           int
}

func (q *queue) push(w *pending) {
	w.prev, w.next = q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.n++
}

func (q *queue) remove(w *pending) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next = nil, nil
	q.n--
}

// wait queues a request.
func (p *HTTP1) wait(dec http.ResponseDecoder, cb StreamCallbacks) *pending {
	w := p.o.free
	if w == nil {
		w = &pending{}
	} else {
		p.o.free, w.next = w.next, nil
	}
	w.pool, w.dec, w.cb = p, dec, cb
	p.queue.push(w)
	p.o.Stats.UpstreamRqPendingTotal.Inc()
	p.o.Stats.UpstreamRqPendingActive.Inc()
	p.hs.RqPendingActive++
	p.brk.Inc(cluster.Pending)
	return w
}

// forget accounts for a request that has left the queue.
func (p *HTTP1) forget(w *pending) {
	p.o.Stats.UpstreamRqPendingActive.Dec()
	p.hs.RqPendingActive--
	p.brk.Dec(cluster.Pending)
	*w = pending{next: p.o.free}
	p.o.free = w
}
