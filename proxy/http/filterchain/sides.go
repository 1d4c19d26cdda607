package filterchain

import "github.com/weirproxy/weir/proxy/http"

// What follows differs between the two ways, as do the methods of a filter.

func (w *way) at(f *slot) *place {
	if w.response {
		return &f.encoding
	}
	return &f.decoding
}

// over tells that no more is to be passed. A request ends with the answer of
// weir's own, which itself has yet to go out.
func (w *way) over() bool {
	if w.response {
		return w.c.Ended
	}
	return w.c.Over()
}

func (w *way) seenBy(f *slot) bool {
	if w.response {
		return f.enc != nil && !f.skip
	}
	return f.dec != nil && !f.skip
}

// ended tells whether the message's end has come: for requests to the chain,
// whose user says so, for responses to the filter.
func (w *way) ended(at *place) bool {
	if w.response {
		return at.end
	}
	return w.c.RequestWhole
}

func (w *way) hasTrailers() bool {
	if w.response {
		return w.c.HasRespTrailers
	}
	return w.c.GotTrailers || w.added
}

// touch tells of a piece of the response.
func (w *way) touch() {
	if w.response {
		w.c.stream.Touch()
	}
}

// pause asks the message's sender to wait while f holds much of it.
func (w *way) pause(f *slot) {
	at := w.at(f)
	if at.paused {
		return
	}
	at.paused = true
	if w.response {
		w.c.stream.PauseResponse()
	} else {
		w.c.stream.PauseRequest()
	}
}

func (w *way) unpause(f *slot) {
	at := w.at(f)
	if !at.paused {
		return
	}
	at.paused = false
	if w.response {
		w.c.stream.ResumeResponse()
	} else {
		w.c.stream.ResumeRequest()
	}
}

// DetailRequestTooLarge are the response-code details of the 413 to a request of
// which more had to be kept than may be.
const DetailRequestTooLarge = "request_payload_too_large"

// tooLarge answers for a message of which f would have to hold too much; a
// response that has begun is cut off.
func (w *way) tooLarge(f *slot) {
	c := w.c
	if !w.response {
		c.stream.RequestTooLarge()
		c.stream.Answer(413, "Payload Too Large", nil, http.NoGrpcStatus, DetailRequestTooLarge)
		return
	}
	c.stream.ResponseTooLarge()
	if f.encoding.headers {
		c.info.ResponseCodeDetails = "response_payload_too_large"
		c.stream.Reset(http.LocalReset)
		return
	}
	w.forget()
	c.stream.Answer(500, "Internal Server Error", nil, http.NoGrpcStatus, "response_payload_too_large")
}
