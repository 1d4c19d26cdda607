package extproc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
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
	r := f.decode(raw)
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
	x := p.pieces[0]
	p.pieces = p.pieces[1:]
	if len(p.pieces) == 0 && !p.waitTrailers {
		p.f.timers[p.d].Disable()
	}
	p.answered(x.b.Len())
	if r.hasBody {
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
	x := p.f.cb.Loop().NewBuffer()
	x.Append(r.body)
	p.inject(x, r.end)
}

// overrideModes takes the modes that the processor asks for.
func (f *filter) overrideModes(r *reply) {
	if r.mode == nil || !f.allowOverride || f.sendEarly || f.mode[request].body == duplex || f.mode[response].body == duplex {
		return
	}
	m := r.mode(f.mode)
	m[request].headers = f.now[request].headers // they are past
	if len(f.overrides) > 0 && !slices.ContainsFunc(f.overrides, func(x mode) bool { x[request].headers = m[request].headers; return x == m }) {
		return
	}
	f.now = m
}

// route has the route looked up anew where the reply asks for it.
func (f *filter) route(d direction, r *reply) {
	changed := len(r.set) > 0 || len(r.remove) > 0
	switch {
	case d == response:
	case f.clearRoute && changed:
		f.cb.ClearRouteCache()
	case r.clear && f.keepRoute:
		f.stats.ClearRouteCacheDisabled.Inc()
	case r.clear && !changed:
		f.stats.ClearRouteCacheIgnored.Inc()
	case r.clear:
		f.cb.ClearRouteCache()
	}
}

// apply changes headers or trailers as a reply says; false when the reply
// orders what it must not and the stream has failed.
func (f *filter) apply(h *http.HeaderMap, r *reply) bool {
	if details := f.change(h, r); details != "" {
		f.fail(f.errorStatus, details)
		return false
	}
	return true
}

// change makes a reply's changes up to one that is an error, which it names.
func (f *filter) change(h *http.HeaderMap, r *reply) (details string) {
	for _, name := range r.remove {
		switch f.rules.Remove(name) {
		case headerrules.Allow:
			h.RemoveName(name)
		case headerrules.Fail:
			f.stats.RejectedHeaderMutations.Inc()
			return "header_mutation_remove_headers_failed"
		default:
			f.stats.RejectedHeaderMutations.Inc()
		}
	}
	for _, c := range r.set {
		if c.name == "" || strings.ContainsAny(c.value, "\r\n\x00") || strings.ContainsAny(c.name, " \r\n\x00") {
			f.stats.RejectedHeaderMutations.Inc()
			return "header_mutation_set_contains_invalid_character"
		}
		verdict := f.rules.Set(c.name)
		if c.name == ":status" && !finalStatus(c.value) {
			verdict = headerrules.Ignore
		}
		switch verdict {
		case headerrules.Allow:
			set(h, c)
		case headerrules.Fail:
			f.stats.RejectedHeaderMutations.Inc()
			return "header_mutation_set_headers_failed"
		default:
			f.stats.RejectedHeaderMutations.Inc()
		}
	}
	return ""
}

// finalStatus tells whether a response can have the status.
func finalStatus(s string) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n >= 200
}

func set(h *http.HeaderMap, c change) {
	if c.append {
		h.AddName(h.Own(c.name), h.Own(c.value))
	} else {
		h.SetName(h.Own(c.name), h.Own(c.value))
	}
}

// respond answers in the upstream's place.
func (f *filter) respond(r *reply) {
	if f.noImmediate {
		f.spurious("unhandled_immediate_response_due_to_config_disabled_it")
		return
	}
	f.stats.ImmediateResponsesSent.Inc()
	f.over = true
	f.closeStream()
	details := strings.ReplaceAll(r.details, " ", "_")
	f.cb.StreamInfo().SetDetails(details) // none in the place of an upstream's
	f.cb.SendLocalReply(r.status, string(r.body), func(h *http.HeaderMap) {
		f.change(h, r) // up to one that is an error
		h.SetInt(http.Status, int64(r.status))
	}, r.grpcStatus, details)
}

// spurious ends processing after a reply that nobody awaited.
func (f *filter) spurious(details string) {
	f.stats.SpuriousMsgsReceived.Inc()
	f.fail(f.errorStatus, details)
}

// goOnAlone lets go of what is held and processes nothing more.
func (f *filter) goOnAlone() {
	f.over = true
	phases := [2]*phase{&f.phases[request], &f.phases[response]}
	pieces := [2][]piece{phases[0].pieces, phases[1].pieces}
	phases[0].pieces, phases[1].pieces = nil, nil
	f.closeStream()
	for d, p := range phases {
		p.pieces = pieces[d]
		if p.f != nil {
			p.release()
		}
	}
}

// onTimeout is the end of the time for a reply.
func (f *filter) onTimeout() {
	if f.over {
		return
	}
	f.stats.MessageTimeouts.Inc()
	f.fail(504, "ext_proc_error_per-message_timeout_exceeded")
}

// OnClose implements grpc.Callbacks: the processor has hung up. It may do so
// when nothing is awaited of it.
func (f *filter) OnClose(s grpc.Status) {
	if f.over {
		return
	}
	f.stats.ServerHalfClosed.Inc()
	if s.Code == grpc.OK {
		f.stats.StreamsClosed.Inc()
		f.goOnAlone()
		return
	}
	f.stats.StreamsFailed.Inc()
	why := s.Details
	if why == "" {
		why = "via_upstream"
	}
	details := fmt.Sprintf("ext_proc_error_gRPC_error_%d", s.Code)
	if s.Message != "" {
		details += "{" + strings.ReplaceAll(s.Message, " ", "_") + "{" + why + "}}"
	}
	f.fail(f.errorStatus, details)
}

// bodyGone tells whether the processor alone has a part of a body, which can
// then not go on without it.
func (f *filter) bodyGone() bool {
	for d := range f.phases {
		if f.now[d].body == duplex && f.phases[d].streaming {
			return true
		}
	}
	return false
}

// fail ends processing: the stream goes on alone, or is answered.
func (f *filter) fail(status int, details string) {
	if f.observe || f.own.failureAllow && !f.bodyGone() {
		f.stats.FailureModeAllowed.Inc()
		f.goOnAlone()
		return
	}
	f.stats.ImmediateResponsesSent.Inc()
	f.over = true
	f.closeStream()
	f.cb.SendLocalReply(status, "", nil, http.NoGrpcStatus, details)
}
