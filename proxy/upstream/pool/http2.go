package pool

import (
	"slices"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// HTTP2 is the pool of one host, priority and key whose connections carry many
// requests at once. The first connection that has room gets the next request;
// another is made when none has. With cluster.Auto a connection's protocol is
// known once it stands, and one that speaks HTTP/1 carries one request.
type HTTP2 struct {
	base
	proto   cluster.Protocol
	clients []*muxClient // in the order in which they were made
	serving bool         // serve was posted
	serve   func()
}

// NewHTTP2 makes an empty pool; see NewHTTP1.
func NewHTTP2(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32, proto cluster.Protocol) *HTTP2 {
	p := &HTTP2{base: newBase(o, h, prio, key), proto: proto}
	p.serve = p.serveQueue
	return p
}

// Protocol implements HTTP.
func (p *HTTP2) Protocol() http.ProtocolVersion { return http.HTTP2 }

// NewStream implements HTTP.
func (p *HTTP2) NewStream(dec http.ResponseDecoder, cb StreamCallbacks) Cancellable {
	if p.queue.n == 0 {
		if c := p.roomy(); c != nil {
			p.attach(c, dec, cb)
			if p.preconnects() {
				_ = connectIfNeeded(p)
			}
			return nil
		}
	}
	return p.wait(p, dec, cb)
}

// roomy is a connection that can carry one more request, nil when there is
// none.
func (p *HTTP2) roomy() *muxClient {
	for _, c := range p.clients {
		if c.state == muxReady && c.active < c.limit {
			return c
		}
	}
	return nil
}

// attach starts a request on c.
func (p *HTTP2) attach(c *muxClient, dec http.ResponseDecoder, cb StreamCallbacks) {
	if !p.brk.CanCreate(cluster.Requests) {
		p.o.Stats.UpstreamRqActiveOverflow.Inc()
		cb.OnPoolFailure(Overflow, "", p.host)
		return
	}
	cb.OnPoolReady(c.begin(dec), p.host, c.conn, c.codec.Protocol())
}

// Load implements HTTP.
func (p *HTTP2) Load() Load {
	l := Load{Pending: p.queue.n}
	for _, c := range p.clients {
		l.Active += int(c.active)
		if (c.state == muxConnecting || c.state == muxReady) && c.active < c.limit {
			l.Capacity += int(c.limit - c.active)
		}
	}
	return l
}

// connect makes a connection, if circuit breakers let it.
func (p *HTTP2) connect() (made bool, err error) {
	protocols := "h2"
	if p.proto == cluster.Auto {
		protocols = "h2,http/1.1"
	}
	if err := p.o.shed(); err != nil {
		return false, err
	}
	c := &muxClient{pool: p, link: p.link(protocols)}
	if !c.mayConnect(p.conns == 0) {
		return false, nil
	}
	if err := c.connect(); err != nil {
		return false, err
	}
	p.clients = append(p.clients, c)
	p.conns++
	return true, nil
}

// Preconnect implements HTTP.
func (p *HTTP2) Preconnect(ratio float64) bool { return p.preconnect(p, ratio) }

// serveLater gives waiting requests the room that has come, in a later turn:
// not deep in the codec, from within the end of another.
func (p *HTTP2) serveLater() {
	if !p.serving {
		p.serving = true
		p.o.Loop.Post(p.serve)
	}
}

func (p *HTTP2) serveQueue() {
	p.serving = false
	for p.queue.n > 0 {
		c := p.roomy()
		if c == nil {
			// What is refused here waits for a request to end.
			_ = connectIfNeeded(p)
			break
		}
		dec, cb := p.next()
		p.attach(c, dec, cb)
	}
	for _, c := range slices.Clone(p.clients) {
		c.closeIfDone()
	}
}

// lost takes out a connection that has closed; failed is not 0 when it never
// stood.
func (p *HTTP2) lost(c *muxClient, failed FailureReason, why string) {
	p.clients = slices.DeleteFunc(p.clients, func(x *muxClient) bool { return x == c })
	p.conns--
	switch {
	case failed != 0:
		p.eject(failed, why)
	case p.queue.n > 0:
		if err := connectIfNeeded(p); err != nil && p.conns == 0 {
			p.eject(failureOf(err))
		}
	}
	p.maybeDone()
}

// Drain implements HTTP.
func (p *HTTP2) Drain(done func()) {
	p.draining, p.onDone = true, done
	for _, c := range slices.Clone(p.clients) {
		c.closeIfDone()
	}
	p.maybeDone()
}

// Close implements HTTP.
func (p *HTTP2) Close() {
	for _, c := range slices.Clone(p.clients) {
		c.hangUp(network.NoFlush)
	}
}

var _ HTTP = (*HTTP2)(nil)
