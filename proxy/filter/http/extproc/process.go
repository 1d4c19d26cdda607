package extproc

import (
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
)

// OnMessage implements grpc.Callbacks: the processor's next reply.
func (f *filter) OnMessage(raw []byte) {
	if f.over {
		return
	}
	f.stats.StreamMsgsReceived.Inc()
	if f.observe {
		return
	}
	f.take(f.decode(raw))
}

// take obeys a reply, nil when it could not be understood.
func (f *filter) take(r *reply) {
	if r == nil {
		f.spurious("unhandled_message")
		return
	}
	if r.timeout > 0 {
		f.overrideTimeout(r)
	}
	switch {
	case r.kind > immediate:
	case r.kind == immediate:
		f.metadata(r)
		f.respond(r)
	case f.phases[r.direction].process(r):
		f.metadata(r)
	}
}

// overrideTimeout gives the processor the time it asks for.
func (f *filter) overrideTimeout(r *reply) {
	if f.maxTimeout == 0 || r.timeout > f.maxTimeout {
		f.stats.OverrideTimeoutIgnored.Inc()
		return
	}
	f.stats.OverrideTimeoutReceived.Inc()
	for d := range f.timers {
		if f.timers[d].Enabled() {
			f.timers[d].Enable(r.timeout)
		}
	}
}

func (f *filter) metadata(r *reply) {
	if f.dead {
		return
	}
	for ns, fields := range r.metadata {
		for k, v := range fields {
			f.cb.StreamInfo().SetMetadata(ns, k, v)
		}
	}
}

// process takes a reply; false when none of the kind was awaited.
func (p *phase) process(r *reply) bool {
	f := p.f
	switch {
	case r.kind == headers && p.waitHeaders:
		f.timers[p.d].Disable()
		p.onHeadersReply(r)
	case r.kind == body && p.waitBody:
		f.timers[p.d].Disable()
		p.onBodyReply(r)
	case r.kind == body && p.mode().body == duplex && r.streamed && !p.waitHeaders:
		p.onStreamed(r)
	case r.kind == body && len(p.pieces) > 0 && !r.streamed && !p.waitHeaders:
		p.onPieceReply(r)
	case r.kind == trailers && p.waitTrailers && len(p.pieces) == 0 && !p.waitHeaders:
		f.timers[p.d].Disable()
		p.waitTrailers = false
		t := f.cb.RequestTrailers()
		if p.d == response {
			t = f.cb.ResponseTrailers()
		}
		if f.apply(t, r) {
			p.goOn()
		}
	default:
		f.spurious("spurious_message")
		return false
	}
	return true
}

func (p *phase) onHeadersReply(r *reply) {
	f := p.f
	p.waitHeaders = false
	h := f.headersOf(p.d)
	if !f.apply(h, r) {
		return
	}
	f.overrideModes(r)
	f.route(p.d, r)
	switch m := p.mode().body; {
	case r.replace:
		p.replaceBody(r, h)
		return
	case p.end && p.kept() == 0 && !p.streaming && !p.gotTrailers:
		// There was no body.
	case m == buffered || m == bufferedPartial:
		if p.end || m == bufferedPartial && p.full(0) {
			p.sendWhole(p.end && !p.gotTrailers)
		}
		return // until the body is whole, or as long as it may get
	case m == streamed && p.end && p.kept() > 0:
		p.sendWhole(!p.gotTrailers) // it came while the headers were held
		return
	case m == streamed || m == duplex:
		if b := p.buffer(); b != nil {
			x := f.cb.Loop().NewBuffer()
			x.Move(b)
			p.sendPiece(x, p.end && !p.gotTrailers)
		}
		if p.gotTrailers && len(p.pieces) == 0 && !p.waitTrailers {
			p.trailers()
		}
		if p.waiting() || p.end {
			return // the head goes on with the first piece that comes back
		}
	}
	if p.gotTrailers && p.trailers() == http.TrailersStopIteration {
		return
	}
	p.goOn()
}

// replaceBody puts the processor's body in the place of the message's, which
// is not looked at.
func (p *phase) replaceBody(r *reply, h *http.HeaderMap) {
	p.bodyOver = true
	if b := p.buffer(); b != nil {
		b.Reset()
	}
	p.drop()
	p.answered(p.unanswered)
	h.Remove(http.ContentLength)
	x := p.f.cb.Loop().NewBuffer()
	x.Append(r.body)
	if p.end {
		if len(r.body) > 0 {
			p.keep(x)
		}
		p.goOn()
		return
	}
	p.replaced = true
	p.inject(x, true)
}

func (p *phase) onBodyReply(r *reply) {
	f := p.f
	p.waitBody, p.bodyOver = false, true
	h := f.headersOf(p.d)
	if !f.apply(h, r) {
		return
	}
	if r.hasBody {
		if n := h.Get(http.ContentLength); p.mode().body == buffered && n != "" && n != h.Int(int64(len(r.body))) {
			f.fail(f.errorStatus, "mismatch_between_content_length_and_the_length_of_the_mutated_body")
			return
		}
		p.replaceSent(r.body)
	}
	f.route(p.d, r)
	if p.mode().body != buffered && p.kept() == 0 && !p.gotTrailers {
		p.inject(f.cb.Loop().NewBuffer(), p.end) // a body still, though an empty one
	}
	if f.dead || p.gotTrailers && p.trailers() == http.TrailersStopIteration {
		return
	}
	p.goOn()
}

// replaceSent puts data in the place of what the processor was sent of the
// body; more may have come since.
func (p *phase) replaceSent(data []byte) {
	x, rest := p.f.cb.Loop().NewBuffer(), p.f.cb.Loop().NewBuffer()
	if b := p.buffer(); b != nil {
		b.Drain(p.sent)
		rest.Move(b)
	}
	x.Append(data)
	x.Move(rest)
	if x.Len() > 0 {
		p.keep(x)
	}
}

// onPieceReply lets the oldest piece go on.
func (p *phase) onPieceReply(r *reply) {
	p.note(body, grpc.OK)
	x := p.pieces[0]
	p.pieces = p.pieces[1:]
	if len(p.pieces) == 0 && !p.waitTrailers {
		p.f.timers[p.d].Disable()
	}
	p.answered(x.b.Len())
	if r.hasBody {
		p.f.logging.effects[p.d][body] = mutated
		x.b.Reset()
		x.b.Append(r.body)
	}
	p.inject(x.b, x.end)
	if !p.f.dead && p.gotTrailers && !p.waiting() && p.trailers() == http.TrailersContinue {
		p.goOn()
	}
}

// onStreamed sends a piece on that the processor made.
func (p *phase) onStreamed(r *reply) {
	p.note(body, grpc.OK)
	p.f.logging.effects[p.d][body] = mutated
	x := p.f.cb.Loop().NewBuffer()
	x.Append(r.body)
	p.inject(x, r.end)
}
