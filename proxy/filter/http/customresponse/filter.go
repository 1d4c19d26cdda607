package customresponse

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/route"
)

// settings are a filter's or a route's.
type settings struct {
	policies *tree.Tree[policy] // nil: none
	closers  []func()
}

// Close ends the policies' statistics.
func (s *settings) Close() {
	for _, c := range s.closers {
		c()
	}
}

// policy is what becomes of a response: one of these.
type policy struct {
	local    *localPolicy
	redirect *redirectPolicy
}

// localPolicy is an answer of the proxy's own.
type localPolicy struct {
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

// Close ends the policies' statistics.
func (f factory) Close() { f.settings.Close() }

type filter struct {
	http.PassResponseBody
	cb      http.FilterCallbacks
	own     *settings
	data    tree.Data
	context formatter.Context
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if s, ok := f.cb.StreamInfo().FilterState[stateKey].(*redirected); ok {
		s.policy.finish(f, s.status, h)
		return http.HeadersContinue
	}
	f.data.SetStream(f.cb.StreamInfo())
	f.data.RequestHeaders, f.data.ResponseHeaders = f.cb.RequestHeaders(), h
	for s := range f.levels {
		if s.policies == nil {
			continue
		}
		p, r := s.policies.Match(&f.data)
		switch {
		case r != tree.Matched:
		case p.local != nil:
			f.answer(p.local, h)
			return http.HeadersStopIteration
		case p.redirect.follow(f, h):
			return http.HeadersStopAllAndWatermark // until another request takes this one's place
		default:
			return http.HeadersContinue
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
func (f *filter) answer(p *localPolicy, h *http.HeaderMap) {
	f.formatContext(h).LocalReplyBody = p.body
	status := p.status
	if status == 0 {
		status, _ = strconv.Atoi(h.Get(http.Status))
	}
	body := p.body
	if p.format != nil {
		body = p.format.Format(&f.context)
	}
	if !p.keepDetails {
		f.cb.StreamInfo().SetDetails(p.details)
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
