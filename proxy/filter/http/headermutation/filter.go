package headermutation

import (
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

type factory struct {
	own          *mutations
	specificLast bool // most_specific_header_mutations_wins
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, f: f}
}

type filter struct {
	cb      http.FilterCallbacks
	f       *factory
	context formatter.Context
}

// levels yields the mutations to apply, in order: the filter's, then the
// route's, of which the last has the last word.
func (f *filter) levels(yield func(*mutations) bool) {
	if !yield(f.f.own) {
		return
	}
	r := f.cb.Route()
	if r == nil {
		return
	}
	all := r.FilterConfigs(f.cb.FilterName())
	for i := range all {
		if !f.f.specificLast {
			i = len(all) - 1 - i
		}
		if m, ok := all[i].(*mutations); ok && !yield(m) {
			return
		}
	}
}

func (f *filter) fill() *formatter.Context {
	f.context = formatter.OfRequest(f.cb)
	f.context.ResponseHeaders, f.context.ResponseTrailers = f.cb.ResponseHeaders(), f.cb.ResponseTrailers()
	return &f.context
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	c := f.fill()
	for m := range f.levels {
		apply(m.request, h, c)
		applyQuery(m.query, h, c)
	}
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (*filter) DecodeData(*network.Buffer, bool) http.DataStatus { return http.DataContinue }

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	c := f.fill()
	for m := range f.levels {
		apply(m.requestTrailers, t, c)
	}
	return http.TrailersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	c := f.fill()
	for m := range f.levels {
		apply(m.response, h, c)
	}
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (*filter) EncodeData(*network.Buffer, bool) http.DataStatus { return http.DataContinue }

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	c := f.fill()
	for m := range f.levels {
		apply(m.responseTrailers, t, c)
	}
	return http.TrailersContinue
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.context = formatter.Context{} }
