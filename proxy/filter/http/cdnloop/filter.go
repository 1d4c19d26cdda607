package cdnloop

import (
	"github.com/weirproxy/weir/proxy/http"
)

const header = "cdn-loop"

type factory struct {
	id   string
	most int // times that a request may have passed here
}

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

type filter struct {
	http.PassRequestBody
	f  factory
	cb http.FilterCallbacks
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	seen, _ := h.Joined(header)
	switch n, ok := count(seen, f.f.id); {
	case !ok:
		f.cb.SendLocalReply(400, "Invalid CDN-Loop header in request.", nil, http.NoGrpcStatus, "invalid_cdn_loop_header")
		return http.HeadersStopIteration
	case n > f.f.most:
		f.cb.SendLocalReply(502, "The server has detected a loop between CDNs.", nil, http.NoGrpcStatus, "cdn_loop_detected")
		return http.HeadersStopIteration
	}
	all := f.f.id
	if seen != "" {
		all = h.Concat(seen, ",", f.f.id)
	}
	h.SetName(header, all)
	return http.HeadersContinue
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
