package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// ResponseHeaders implements http.ResponseDecoder.
func (u *upstreamRequest) ResponseHeaders() *http.HeaderMap {
	if u.head = u.own; u.head == nil {
		u.head = u.f.cb.NewResponse()
	} else {
		u.head.Reset()
	}
	return u.head
}

// ResponseTrailers implements http.ResponseDecoder.
func (u *upstreamRequest) ResponseTrailers() *http.HeaderMap { return u.f.cb.NewTrailers() }

// Decode1xxHeaders implements http.ResponseDecoder.
func (u *upstreamRequest) Decode1xxHeaders() {
	if u.active {
		u.touch()
		u.f.cb.Encode1xxHeaders(u.head)
	}
}

// DecodeHeaders implements http.ResponseDecoder.
func (u *upstreamRequest) DecodeHeaders(end bool) {
	if !u.active {
		return
	}
	c := u.chain
	if c == nil {
		u.deliverHead(end)
		return
	}
	c.Response = u.head
	if u.touch(); end {
		u.receivedAll()
	}
	c.EncodeHead(end)
}

// receivedAll lets go of a connection whose response filters still hold.
func (u *upstreamRequest) receivedAll() {
	u.received = true
	u.leave(!u.ended)
}

// deliverHead gives the response's head to the router.
func (u *upstreamRequest) deliverHead(end bool) {
	u.started = true
	u.code = statusOf(u.head)
	u.sizes.head, u.sizes.lines = uint64(u.head.Bytes()), uint64(u.head.Len())
	u.perTry.Disable()
	u.touch()
	u.f.onHeaders(u, u.head, end)
}

// DecodeData implements http.StreamDecoder.
func (u *upstreamRequest) DecodeData(b *network.Buffer, end bool) {
	if !u.active {
		b.Reset()
		return
	}
	if c := u.chain; c != nil {
		if end {
			u.receivedAll()
		}
		c.EncodeBody(b, end)
		return
	}
	u.deliverBody(b, end)
}

// deliverBody gives a piece of the response's body to the router.
func (u *upstreamRequest) deliverBody(b *network.Buffer, end bool) {
	u.touch()
	u.log.received(b.Len())
	u.sizes.body += uint64(b.Len())
	if info := u.f.cb.StreamInfo(); info.FirstUpstreamRxBody == 0 {
		info.FirstUpstreamRxBody = u.f.cb.Loop().Now()
	}
	if end {
		if u.undecided {
			u.count(false) // without a status it is an error
		}
		u.finish()
	}
	u.f.cb.EncodeData(b, end)
}

// DecodeTrailers implements http.StreamDecoder.
func (u *upstreamRequest) DecodeTrailers(t *http.HeaderMap) {
	if !u.active {
		return
	}
	if c := u.chain; c != nil {
		u.receivedAll()
		c.EncodeTail()
		return
	}
	u.deliverTail(t)
}

// deliverTail gives the response's trailers to the router.
func (u *upstreamRequest) deliverTail(t *http.HeaderMap) {
	u.respTrailers = t
	u.host.TakeLoadReport(t)
	if u.undecided {
		u.count(grpcSucceeded(t))
	}
	u.finish()
	u.f.cb.EncodeTrailers(t)
}

// finish is called when the response is received whole.
func (u *upstreamRequest) finish() {
	f := u.f
	now := f.cb.Loop().Now()
	f.cb.StreamInfo().LastUpstreamRxByte = now
	// An upstream that answers before it has the whole request gets no more
	// of it.
	u.release(!u.ended)
	u.disarm()
	f.onComplete(u, now)
}
