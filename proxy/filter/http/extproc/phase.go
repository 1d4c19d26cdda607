package extproc

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// phase is one direction of a stream.
type phase struct {
	f *filter
	d direction

	waitHeaders  bool // the reply to the headers is awaited
	waitBody     bool // the reply to the whole body is
	waitTrailers bool
	attributed   bool // the attributes are sent
	bodyOver     bool // no more of the body is processed
	end          bool // the message has been received whole
	gotTrailers  bool
	pieces       []piece // sent and not answered, in order
	unanswered   int     // bytes of them
	sent         int     // bytes of the body kept that the processor has
	streaming    bool    // pieces of the body are being sent
	paused       bool    // whoever sends the message is asked to wait
	replaced     bool    // the rest of the body is dropped
}

// piece is a part of a body that the processor has.
type piece struct {
	b   *network.Buffer
	end bool
}

func (p *phase) mode() directionMode { return p.f.now[p.d] }

func (p *phase) waiting() bool {
	return p.waitHeaders || p.waitBody || p.waitTrailers || len(p.pieces) > 0
}

func (p *phase) onHeaders(end bool) http.HeadersStatus {
	p.end = end
	f := p.f
	if f.over {
		return http.HeadersContinue
	}
	m := p.mode()
	if m.body != none && m.body != buffered && !f.keepLength && !f.observe && !end {
		f.headersOf(p.d).Remove(http.ContentLength) // the processor may change it
	}
	if m.headers {
		f.send(p.d, headers, nil, end)
		if !f.observe {
			p.waitHeaders = true
			return http.HeadersStopIteration
		}
	}
	if !f.observe && !end && (m.body == buffered || m.body == bufferedPartial) {
		if !f.keepLength {
			f.headersOf(p.d).Remove(http.ContentLength)
		}
		return http.HeadersStopIteration
	}
	return http.HeadersContinue
}

func (p *phase) onData(b *network.Buffer, end bool) http.DataStatus {
	p.end = p.end || end
	f := p.f
	m := p.mode()
	switch {
	case p.replaced:
		b.Reset()
		return http.DataStopNoBuffer
	case f.over || m.body == none || p.bodyOver:
		if p.waiting() {
			return http.DataStopAndWatermark
		}
		return http.DataContinue
	case f.observe:
		f.send(p.d, body, b.Bytes(), end)
		p.streaming = true
		p.throttle()
		return http.DataContinue
	case p.waitHeaders && m.body == buffered:
		return http.DataStopAndBuffer
	case (p.waitHeaders || p.waitBody) && !p.early():
		return http.DataStopAndWatermark
	case m.body == buffered || m.body == bufferedPartial:
		return p.gather(b, end)
	}
	p.sendPiece(b, end)
	return http.DataStopNoBuffer
}

// early tells whether the body is sent although the reply to the headers is
// awaited: the processor may want to see it first.
func (p *phase) early() bool {
	m := p.mode().body
	return m == duplex || m == streamed && p.f.sendEarly
}

// gather keeps a body until it is whole, or as long as it may get.
func (p *phase) gather(b *network.Buffer, end bool) http.DataStatus {
	if !end && !(p.mode().body == bufferedPartial && p.full(b.Len())) {
		return http.DataStopAndBuffer
	}
	p.keep(b)
	p.sendWhole(end)
	return http.DataStopAndWatermark
}

// full tells whether no more than n further bytes may be kept.
func (p *phase) full(n int) bool {
	limit := int(p.f.cb.BufferLimit())
	return limit > 0 && p.kept()+n >= limit
}

// sendWhole sends what is kept.
func (p *phase) sendWhole(end bool) {
	var data []byte
	if b := p.buffer(); b != nil {
		data = b.Bytes()
	}
	p.waitBody, p.sent = true, len(data)
	p.f.send(p.d, body, data, end)
}

// sendPiece sends the processor the next piece, and keeps it unless what
// comes back is independent of it.
func (p *phase) sendPiece(b *network.Buffer, end bool) {
	p.f.send(p.d, body, b.Bytes(), end)
	p.streaming = true
	defer p.throttle()
	if p.mode().body == duplex {
		b.Reset()
		return
	}
	x := p.f.cb.Loop().NewBuffer()
	x.Move(b)
	p.pieces = append(p.pieces, piece{x, end})
	p.unanswered += x.Len()
}

// answered is called when the processor has answered n bytes.
func (p *phase) answered(n int) {
	p.unanswered -= n
	p.throttle()
}

func (p *phase) onTrailers() http.TrailersStatus {
	p.end, p.gotTrailers = true, true
	f := p.f
	if f.over || f.observe {
		if f.observe && !f.over && p.mode().trailers {
			f.send(p.d, trailers, nil, false)
		}
		return http.TrailersContinue
	}
	if (p.waitHeaders || p.waitBody) && p.mode().body != duplex || len(p.pieces) > 0 {
		return http.TrailersStopIteration
	}
	if m := p.mode().body; (m == buffered || m == bufferedPartial) && !p.bodyOver && p.kept() > 0 {
		p.sendWhole(false)
		return http.TrailersStopIteration
	}
	return p.trailers()
}

// trailers sends the trailers, if they are to be, once the body is done.
func (p *phase) trailers() http.TrailersStatus {
	if p.mode().trailers {
		p.waitTrailers = true
		p.f.send(p.d, trailers, nil, false)
	}
	if p.waiting() {
		return http.TrailersStopIteration
	}
	return http.TrailersContinue
}

// buffer is what the stream keeps for the filter, nil when nothing.
func (p *phase) buffer() *network.Buffer {
	if p.d == request {
		return p.f.cb.DecodingBuffer()
	}
	return p.f.cb.EncodingBuffer()
}

func (p *phase) kept() int {
	if b := p.buffer(); b != nil {
		return b.Len()
	}
	return 0
}

func (p *phase) keep(b *network.Buffer) {
	if p.d == request {
		p.f.cb.AddDecodedData(b)
	} else {
		p.f.cb.AddEncodedData(b)
	}
}

func (p *phase) inject(b *network.Buffer, end bool) {
	if p.d == request {
		p.f.cb.InjectDecodedData(b, end)
	} else {
		p.f.cb.InjectEncodedData(b, end)
	}
}

func (p *phase) goOn() {
	if p.d == request {
		p.f.cb.ContinueDecoding()
	} else {
		p.f.cb.ContinueEncoding()
	}
}

// release lets everything go on that the phase holds, unchanged.
func (p *phase) release() {
	held := p.waiting() || p.kept() > 0
	p.waitHeaders, p.waitBody, p.waitTrailers, p.bodyOver = false, false, false, true
	pieces := p.pieces
	p.pieces = nil
	p.answered(p.unanswered)
	for _, x := range pieces {
		if p.f.dead {
			x.b.Reset()
			continue
		}
		p.inject(x.b, x.end)
	}
	if !p.f.dead && held && (len(pieces) == 0 || p.gotTrailers) {
		p.goOn()
	}
}

// drop gives back the memory of what is held.
func (p *phase) drop() {
	for _, x := range p.pieces {
		x.b.Reset()
	}
	p.pieces = nil
}
