package pool

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// base is what the pools of one host, priority and key share, whatever their
// protocol: the requests that wait, and the way to their end.
type base struct {
	o    *Owner
	host *cluster.Host
	hs   *cluster.HostStats
	brk  cluster.Breakers
	key  uint32
	asks *cluster.TransportOptions // may be nil

	queue    queue
	conns    int // connections that are there or being made
	draining bool
	onDone   func() // called once the pool, draining, has become empty
}

func newBase(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32) base {
	return base{o: o, host: h, hs: h.Stats(o.Loop.Worker), brk: o.Breakers[prio], key: key}
}

// link is what a new connection of the pool begins with. fallback are the
// application protocols to ask for when the cluster names none.
func (p *base) link(fallback string) link {
	return link{o: p.o, host: p.host, hs: p.hs, brk: p.brk, asks: p.asks, fallback: fallback}
}

// Host implements HTTP.
func (p *base) Host() *cluster.Host { return p.host }

// eject fails all requests that wait. Some of them may retry at once, so only
// those that are there now are taken.
func (p *base) eject(reason FailureReason, why string) {
	for n := p.queue.n; n > 0 && p.queue.first != nil; n-- {
		_, cb := p.next()
		p.o.Stats.UpstreamRqPendingFailureEject.Inc()
		cb.OnPoolFailure(reason, why, p.host)
	}
}

func (p *base) maybeDone() {
	if p.draining && p.onDone != nil && p.conns == 0 && p.queue.n == 0 {
		done := p.onDone
		p.onDone = nil
		done()
	}
}

// pending is a request that waits for a connection.
type pending struct {
	prev, next *pending // in the pool's queue; next alone in the free list
	pool       *base
	dec        http.ResponseDecoder
	cb         StreamCallbacks
}

// Cancel implements Cancellable.
func (w *pending) Cancel() {
	p := w.pool
	p.o.Stats.UpstreamRqCancelled.Inc()
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

// wait has a request wait for a connection of the pool c, which p is the base
// of; nil when the request has failed.
func (p *base) wait(c connector, dec http.ResponseDecoder, cb StreamCallbacks) Cancellable {
	if !p.brk.CanCreate(cluster.Pending) {
		p.o.Stats.UpstreamRqPendingOverflow.Inc()
		cb.OnPoolFailure(Overflow, "", nil)
		return nil
	}
	w := p.enqueue(dec, cb)
	if err := connectIfNeeded(c); err != nil && p.conns == 0 {
		p.forget(w)
		if err != errShed {
			p.o.Stats.UpstreamRqPendingFailureEject.Inc()
		}
		reason, why := failureOf(err)
		cb.OnPoolFailure(reason, why, p.host)
		return nil
	}
	return w
}

// enqueue queues a request.
func (p *base) enqueue(dec http.ResponseDecoder, cb StreamCallbacks) *pending {
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
	p.hs.RqPendingActive.Inc()
	p.brk.Inc(cluster.Pending)
	return w
}

// next takes out the request that has waited longest.
func (p *base) next() (http.ResponseDecoder, StreamCallbacks) {
	w := p.queue.first
	dec, cb := w.dec, w.cb
	p.forget(w)
	return dec, cb
}

// forget takes a request out of the queue.
func (p *base) forget(w *pending) {
	p.queue.remove(w)
	p.o.Stats.UpstreamRqPendingActive.Dec()
	p.hs.RqPendingActive.Dec()
	p.brk.Dec(cluster.Pending)
	*w = pending{next: p.o.free}
	p.o.free = w
}
