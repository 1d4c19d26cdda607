package customresponse

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/route"
)

// settings are a filter's or a route's.
type settings struct{ policies *tree.Tree[*policy] } // nil: none

// policy is an answer of the proxy's own.
type policy struct {
	status      int // 0: the response's
	body        string
	format      *formatter.Formatter // makes the body, of body among others; nil: as it is
	headers     *route.HeaderChanges // nil: none
	keepDetails bool                 // the response's code details stay
	details     string
}

type factory struct{ settings *settings }

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: f.settings}
}

type filter struct {
	http.PassResponseBody
	cb      http.FilterCallbacks
	own     *settings
	data    tree.Data
	context formatter.Context
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	f.data.SetStream(f.cb.StreamInfo())
	f.data.RequestHeaders, f.data.ResponseHeaders = f.cb.RequestHeaders(), h
	for s := range f.levels {
		if s.policies == nil {
			continue
		}
		if p, r := s.policies.Match(&f.data); r == tree.Matched {
			f.answer(p, h)
			return http.HeadersStopIteration
		}
	}
	return http.HeadersContinue
}

// levels yields the settings to try: the route's, the most specific first,
// then the filter's.
func (f *filter) levels(yield func(*settings) bool) {
	if r := f.cb.Route(); r != nil {
		all := r.FilterConfigs(f.cb.FilterName())
		for i := len(all) - 1; i >= 0; i-- {
			if s, ok := all[i].(*settings); ok && !yield(s) {
				return
			}
		}
	}
	yield(f.own)
}

// answer replies in place of the response whose head is h.
func (f *filter) answer(p *policy, h *http.HeaderMap) {
	loop := f.cb.Loop()
	f.context = formatter.Context{Info: f.cb.StreamInfo(), RequestHeaders: f.cb.RequestHeaders(), ResponseHeaders: h, Now: loop.Now(), Time: loop.Time(), LocalReplyBody: p.body}
	status := p.status
	if status == 0 {
		status, _ = strconv.Atoi(h.Get(http.Status))
	}
	body := p.body
	if p.format != nil {
		body = p.format.Format(&f.context)
	}
	if !p.keepDetails {
		f.cb.StreamInfo().ResponseCodeDetails = p.details
	}
	f.cb.SendLocalReply(status, body, func(r *http.HeaderMap) {
		if p.headers != nil {
			p.headers.Apply(r, &f.context)
		}
	}, http.NoGrpcStatus, "")
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.data, f.context = tree.Data{}, formatter.Context{} }
