package async

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
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
	client  Client
	cluster string
	o       Options
	fill    func(h *http.HeaderMap)
	payload []byte
	done    func(*Response)

	s        *Stream // the present try
	body     []byte
	head     *http.HeaderMap
	deadline time.Duration // by the loop's clock; 0: none
	backOff  event.Timer
	tries    int  // again
	armed    bool // a retry is counted in the circuit breaker
}

// Send sends a request to a cluster and calls done with the response, unless
// the request is cancelled before. fill sets the request's head, once for each
// try. It returns nil, and never calls done, when there is no such cluster.
func (c Client) Send(cluster string, o Options, fill func(h *http.HeaderMap), body []byte, done func(*Response)) *Request {
	r := &Request{client: c, cluster: cluster, o: o, fill: fill, payload: body, done: done}
	if r.o.MaxBody == 0 {
		r.o.MaxBody = defaultMaxBody
	}
	if o.Timeout > 0 {
		r.deadline = c.Loop().Now() + o.Timeout
	}
	if o.Retry != nil {
		c.Loop().InitTimer(&r.backOff, r.again)
	}
	if !r.try() {
		return nil
	}
	return r
}

// try sends the request; false when there is no such cluster.
func (r *Request) try() bool {
	r.body, r.head = nil, nil
	o := r.o
	if r.deadline > 0 {
		o.Timeout = max(r.deadline-r.client.Loop().Now(), time.Millisecond)
	}
	if r.s = r.client.NewStream(r.cluster, o, r); r.s == nil {
		return false
	}
	if r.o.Retry != nil {
		r.s.retries = func(code int, h *http.HeaderMap) bool { return r.o.Retry.response(code, h) && r.retry(true) }
	}
	h := r.s.Headers()
	r.fill(h)
	if len(r.payload) > 0 {
		h.SetInt(http.ContentLength, int64(len(r.payload)))
	}
	r.s.SendHeaders(len(r.payload) == 0)
	if len(r.payload) > 0 {
		b := r.client.Loop().NewBuffer()
		b.Append(r.payload)
		r.s.SendData(b, true)
	}
	return true
}

// again is the next try, after the back-off.
func (r *Request) again() {
	if r.done != nil && !r.try() {
		r.finish(&Response{Status: 503, Headers: &http.HeaderMap{}, Local: true, Failure: Failure{Status: 503}})
	}
}

// Cancel gives the request up; done will not be called.
func (r *Request) Cancel() {
	r.done = nil
	r.disarm()
	r.s.Reset()
}

// disarm gives back what a retry has taken.
func (r *Request) disarm() {
	if r.backOff.Ready() {
		r.backOff.Release()
	}
	if r.armed {
		r.armed = false
		r.s.cluster.Breakers(r.o.Priority).Dec(cluster.Retries)
	}
}

// OnHeaders implements StreamCallbacks.
func (r *Request) OnHeaders(h *http.HeaderMap, end bool) {
	r.retry(false)
	r.head = h
	if end {
		r.complete()
	}
}

// OnData implements StreamCallbacks.
func (r *Request) OnData(b *network.Buffer, end bool) {
	if len(r.body)+b.Len() > r.o.MaxBody {
		r.s.Reset()
		r.answer(Failure{Status: 507, Body: "response body too large", Reason: http.LocalReset})
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
	if r.retry(r.o.Retry != nil && r.head == nil && r.o.Retry.failure(f)) {
		return
	}
	r.answer(f)
}

func (r *Request) answer(f Failure) {
	h := &http.HeaderMap{}
	h.SetInt(http.Status, int64(f.Status))
	r.finish(&Response{Status: f.Status, Headers: h, Body: []byte(f.Body), Local: true, Failure: f})
}

func (r *Request) complete() {
	r.finish(&Response{Status: status(r.head), Headers: r.head, Body: r.body})
}

func (r *Request) finish(resp *Response) {
	r.disarm()
	if done := r.done; done != nil {
		r.done = nil
		done(resp)
	}
}
