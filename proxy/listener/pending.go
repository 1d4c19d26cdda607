package listener

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
)

// balance passes an accepted socket to the worker that shall have it.
func (al *activeListener) balance(s *Socket, from source) {
	if b := al.l.balancer; b != nil {
		if w := b.pick(); w != al.h.worker {
			l, h, moved := al.l, al.h.shared.handlers[w], *s
			h.loop.Post(func() {
				if other := h.listeners[l]; other != nil {
					other.accepted(&moved, from)
					return
				}
				b.closed(w)
				moved.close()
			})
			return
		}
	}
	al.accepted(s, from)
}

// accepted starts the life of a socket on this worker. It keeps nothing of s.
func (al *activeListener) accepted(s *Socket, from source) {
	s.listener = al
	if !al.admit() {
		s.close()
		al.balancerClosed()
		return
	}
	if from.pod != nil {
		from.pod.restore(s, from.bound)
		if from.pod.takeDNS(s) {
			al.left()
			return
		}
	}
	al.inspect(s)
}

func (al *activeListener) balancerClosed() {
	if al.l.balancer != nil {
		al.l.balancer.closed(al.h.worker)
	}
}

// inspect runs the listener filters from s.next on, on a socket that was just
// accepted; one that must wait moves to memory of its own.
func (al *activeListener) inspect(s *Socket) {
	switch al.runFilters(s) {
	case Continue:
		al.inspected(s, nil)
	case WaitForData:
		al.wait(s)
	case Close:
		al.logSocket(s, al.closedEarly)
		al.drop(s)
	}
}

// takeOver takes a socket that another listener was not the right one for.
func (al *activeListener) takeOver(s *Socket) {
	if al.l.balancer != nil {
		al.l.balancer.opened(al.h.worker)
	}
	al.accepted(s, source{})
}

// drop closes a socket that does not become a connection.
func (al *activeListener) drop(s *Socket) {
	s.close()
	al.left()
}

func (al *activeListener) runFilters(s *Socket) Status {
	s.data, s.full = nil, false
	for ; s.next < len(al.l.filters); s.next++ {
		f := &al.l.filters[s.next]
		if f.disabled != nil && f.disabled(s) {
			continue
		}
		if st := f.Inspect(s); st != Continue {
			return st
		}
	}
	return Continue
}

// pending is a socket whose listener filters wait for the client's bytes.
type pending struct {
	Socket
	seen  event.Events
	timer event.Timer
	links[pending]
}

func (al *activeListener) wait(s *Socket) {
	p := &pending{Socket: *s}
	p.data = nil
	if err := al.h.loop.Add(p.fd, p); err != nil {
		al.drop(s)
		return
	}
	al.waiting.add(p)
	al.stats.PreCxActive.Inc()
	if al.l.filtersTimeout > 0 {
		al.h.loop.InitTimer(&p.timer, p.timedOut)
		p.timer.Enable(al.l.filtersTimeout)
	}
	if p.peerEnded {
		p.ended()
	}
}

// OnReady implements event.Handler.
func (p *pending) OnReady(ev event.Events) {
	p.seen |= ev
	if !ev.Readable() {
		return
	}
	al := p.listener
	p.peerEnded = p.peerEnded || ev.PeerClosed()
	switch al.runFilters(&p.Socket) {
	case Continue:
		p.finish()
	case WaitForData:
		if p.peerEnded {
			p.ended()
		}
	case Close:
		p.close()
	}
}

// ended handles a client that will send no more while a filter wants more.
func (p *pending) ended() {
	al := p.listener
	switch {
	case p.failed:
		al.stats.FilterError.Inc()
	case al.l.continueOnTimeout && len(p.Peek(1)) > 0:
		p.next = len(al.l.filters)
		p.finish()
		return
	default:
		al.stats.FilterRemoteClose.Inc()
	}
	p.close()
}

func (p *pending) timedOut() {
	al := p.listener
	al.stats.PreCxTimeout.Inc()
	if !al.l.continueOnTimeout {
		p.close()
		return
	}
	p.next = len(al.l.filters)
	p.finish()
}

// finish makes the socket a connection.
func (p *pending) finish() {
	p.leave()
	p.listener.inspected(&p.Socket, p)
}

func (p *pending) close() {
	p.leave()
	p.listener.logSocket(&p.Socket, p.listener.closedEarly)
	p.listener.h.loop.Forget(p.fd)
	p.listener.drop(&p.Socket)
}

func (p *pending) leave() {
	if p.timer.Ready() {
		p.timer.Release()
	}
	p.listener.waiting.remove(p)
	p.listener.stats.PreCxActive.Dec()
}

// filtersTimeoutDefault is Envoy's listener_filters_timeout.
const filtersTimeoutDefault = 15 * time.Second
