package async

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

const defaultMaxBody = 1 << 20

// Response is the whole answer to a Request. Its header maps are valid during
// the callback.
type Response struct {
	Status  int
	Headers *http.HeaderMap
	Body    []byte
	// Local tells that there was no (usable) response: Status and Body stand
	// for it as Envoy has them, and Headers has only :status.
	Local bool
	// Failure is why, when Local.
	Failure Failure
}

// Request is a request sent whole, whose response is awaited whole.
type Request struct {
	s    *Stream
	max  int
	body []byte
	head *http.HeaderMap
	done func(*Response)
}

// Send sends a request to a cluster and calls done with the response, unless
// the request is cancelled before. fill sets the request's head. It returns
// nil, and never calls done, when there is no such cluster.
func (c Client) Send(cluster string, o Options, fill func(h *http.HeaderMap), body []byte, done func(*Response)) *Request {
	r := &Request{max: o.MaxBody, done: done}
	if r.max == 0 {
		r.max = defaultMaxBody
	}
	if r.s = c.NewStream(cluster, o, r); r.s == nil {
		return nil
	}
	h := r.s.Headers()
	fill(h)
	if len(body) > 0 {
		h.SetInt(http.ContentLength, int64(len(body)))
	}
	r.s.SendHeaders(len(body) == 0)
	if len(body) > 0 {
		b := c.Loop().NewBuffer()
		b.Append(body)
		r.s.SendData(b, true)
	}
	return r
}

// Cancel gives the request up; done will not be called.
func (r *Request) Cancel() {
	r.done = nil
	r.s.Reset()
}

// OnHeaders implements StreamCallbacks.
func (r *Request) OnHeaders(h *http.HeaderMap, end bool) {
	r.head = h
	if end {
		r.complete()
	}
}

// OnData implements StreamCallbacks.
func (r *Request) OnData(b *network.Buffer, end bool) {
	if len(r.body)+b.Len() > r.max {
		r.s.Reset()
		r.OnFailure(Failure{Status: 507, Body: "response body too large", Reason: http.LocalReset})
		return
	}
	for piece := range b.Pieces {
		r.body = append(r.body, piece...)
	}
	if end {
		r.complete()
	}
}

// OnTrailers implements StreamCallbacks.
func (r *Request) OnTrailers(*http.HeaderMap) { r.complete() }

// OnFailure implements StreamCallbacks.
func (r *Request) OnFailure(f Failure) {
	h := &http.HeaderMap{}
	h.SetInt(http.Status, int64(f.Status))
	r.finish(&Response{Status: f.Status, Headers: h, Body: []byte(f.Body), Local: true, Failure: f})
}

func (r *Request) complete() {
	r.finish(&Response{Status: status(r.head), Headers: r.head, Body: r.body})
}

func (r *Request) finish(resp *Response) {
	if done := r.done; done != nil {
		r.done = nil
		done(resp)
	}
}
