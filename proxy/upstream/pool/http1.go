package pool

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// HTTP1 is the pool of one host, priority and key: connections that carry one
// request at a time. The connection used last is used first, so that those
// not needed run into their idle timeout.
type HTTP1 struct {
	base
	idle       clientList
	all        map[*client]struct{}
	connecting int  // clients, each expected to serve one request
	serving    bool // serve was posted
	serve      func()
}

// NewHTTP1 makes an empty pool. key is what the owner's Dialer gave for the
// downstream connections it is for.
func NewHTTP1(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32) *HTTP1 {
	p := &HTTP1{base: newBase(o, h, prio, key), all: map[*client]struct{}{}}
	p.serve = p.serveQueue
	return p
}

// Protocol implements HTTP.
func (p *HTTP1) Protocol() http.ProtocolVersion { return http.HTTP11 }

// NewStream implements HTTP.
func (p *HTTP1) NewStream(dec http.ResponseDecoder, cb StreamCallbacks) Cancellable {
	if c := p.idle.first; c != nil {
		p.attach(c, dec, cb)
		if p.preconnects() {
			_ = connectIfNeeded(p)
		}
		return nil
	}
	return p.wait(p, dec, cb)
}

// attach starts a request on an idle connection.
func (p *HTTP1) attach(c *client, dec http.ResponseDecoder, cb StreamCallbacks) {
	if !p.brk.CanCreate(cluster.Requests) {
		p.o.Stats.UpstreamRqActiveOverflow.Inc()
		cb.OnPoolFailure(Overflow, "", p.host)
		return
	}
	p.idle.remove(c)
	enc := c.begin(dec)
	cb.OnPoolReady(enc, p.host, c.conn, c.codec.Protocol())
}

// Load implements HTTP.
func (p *HTTP1) Load() Load {
	free := p.connecting + p.idle.n
	return Load{Pending: p.queue.n, Active: len(p.all) - free, Capacity: free}
}

// connect makes a connection, if circuit breakers let it.
func (p *HTTP1) connect() (made bool, err error) {
	if err := p.o.shed(); err != nil {
		return false, err
	}
	c := &client{pool: p, link: p.link("http/1.1")}
	if !c.mayConnect(len(p.all) == 0) {
		return false, nil
	}
	if err := c.connect(); err != nil {
		return false, err
	}
	p.all[c] = struct{}{}
	p.conns++
	p.connecting++
	return true, nil
}

// Preconnect implements HTTP.
func (p *HTTP1) Preconnect(ratio float64) bool { return p.preconnect(p, ratio) }

// ready takes a connection that can carry a request.
func (p *HTTP1) ready(c *client) {
	if p.draining && p.queue.n == 0 {
		c.close()
		return
	}
	p.idle.push(c)
	c.awaitUse()
	// A request is not started from within the end of the one before it,
	// deep in the codec.
	if p.queue.n > 0 && !p.serving {
		p.serving = true
		p.o.Loop.Post(p.serve)
	}
}

// serveQueue gives idle connections to the requests that wait longest.
func (p *HTTP1) serveQueue() {
	p.serving = false
	for p.queue.n > 0 && p.idle.first != nil {
		dec, cb := p.next()
		p.attach(p.idle.first, dec, cb)
	}
	connectIfNeeded(p) // who still waits asks the circuit breakers again
	p.closeIdleIfDraining()
}

// lost takes out a connection that has closed. failed is not 0 when it never
// stood; then those who wait get to decide what to do.
func (p *HTTP1) lost(c *client, failed FailureReason, why string) {
	delete(p.all, c)
	p.conns--
	if failed == 0 {
		// Others may have been waiting for this one to become idle.
		for p.connecting < p.queue.n {
			had := len(p.all)
			if connectIfNeeded(p) != nil || len(p.all) == had {
				break
			}
		}
		if len(p.all) == 0 {
			p.eject(LocalConnectionFailure, why)
		}
	} else {
		p.eject(failed, why)
	}
	p.maybeDone()
}

// Drain closes connections as they become idle and calls done once none is
// left. Requests that wait are still served.
func (p *HTTP1) Drain(done func()) {
	p.draining, p.onDone = true, done
	p.closeIdleIfDraining()
	p.maybeDone()
}

// Close closes all connections at once, under whatever they carry.
func (p *HTTP1) Close() {
	for c := range p.all {
		c.close()
	}
}

func (p *HTTP1) closeIdleIfDraining() {
	for p.draining && p.queue.n == 0 && p.idle.first != nil {
		p.idle.first.close()
	}
}

var _ HTTP = (*HTTP1)(nil)
var _ network.ConnectionCallbacks = (*client)(nil)
