package jsontometadata

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are what became of the bodies of one direction.
type Stats struct {
	Success     stats.Counter `stat:"success"`
	Mismatched  stats.Counter `stat:"mismatched_content_type"`
	NoBody      stats.Counter `stat:"no_body"`
	InvalidBody stats.Counter `stat:"invalid_json_body"`
}

type factory struct {
	settings          *settings
	request, response *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, own: f.settings, rq: f.request.For(w), resp: f.response.For(w)}
}

// Close ends the filter's statistics.
func (f *factory) Close() {
	f.request.Close()
	f.response.Close()
}

type filter struct {
	cb       http.FilterCallbacks
	own      *settings
	rq, resp *Stats
	settings *settings // this stream's
	in, out  *rules    // while a body is waited for
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.choose()
	var c changes
	if f.in, c = begin(f.settings.request, h, end, f.rq); f.in != nil {
		return http.HeadersStopIteration
	}
	f.applyToRequest(c)
	return http.HeadersContinue
}

// choose takes the settings of the route that the request has now.
func (f *filter) choose() {
	f.settings = f.own
	if s, ok := http.RouteConfig[*settings](f.cb); ok {
		f.settings = s
	}
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.in == nil {
		return http.DataContinue
	}
	if !end {
		return http.DataStopAndBuffer
	}
	f.endRequest(b)
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.in != nil {
		f.endRequest(nil)
	}
	return http.TrailersContinue
}

func (f *filter) endRequest(last *network.Buffer) {
	r := f.in
	f.in = nil
	f.applyToRequest(finish(r, bytesOf(f.cb.DecodingBuffer(), last), f.rq))
}

// applyToRequest has the route be chosen by the metadata, too.
func (f *filter) applyToRequest(c changes) {
	if len(c) > 0 {
		c.apply(f.cb.StreamInfo())
		f.cb.ClearRouteCache()
	}
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if f.settings == nil { // an answer that came before the request got here
		f.choose()
	}
	var c changes
	if f.out, c = begin(f.settings.response, h, end, f.resp); f.out != nil {
		return http.HeadersStopIteration
	}
	c.apply(f.cb.StreamInfo())
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.out == nil {
		return http.DataContinue
	}
	if !end {
		return http.DataStopAndBuffer
	}
	f.endResponse(b)
	return http.DataContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.out != nil {
		f.endResponse(nil)
	}
	return http.TrailersContinue
}

func (f *filter) endResponse(last *network.Buffer) {
	r := f.out
	f.out = nil
	finish(r, bytesOf(f.cb.EncodingBuffer(), last), f.resp).apply(f.cb.StreamInfo())
}

// begin looks at a message's head. It returns the rules when the body is to be
// waited for, else what follows at once.
func begin(r *rules, h *http.HeaderMap, end bool, st *Stats) (wait *rules, c changes) {
	switch {
	case r == nil:
		return nil, nil
	case !r.takes(h.Get(http.ContentType)):
		st.Mismatched.Inc()
		return nil, r.failed()
	case end:
		st.NoBody.Inc()
		return nil, r.missing()
	}
	return r, nil
}

// finish looks at a body that is whole.
func finish(r *rules, body []byte, st *Stats) changes {
	if len(body) == 0 {
		st.NoBody.Inc()
		return r.missing()
	}
	v, err := parse(body)
	if err != nil {
		st.InvalidBody.Inc()
		return r.failed()
	}
	st.Success.Inc()
	switch v.(type) {
	case map[string]any, []any:
		return r.match(v)
	}
	return r.missing() // there is nothing in it
}

// bytesOf joins what was kept and what came last; either may be nil.
func bytesOf(kept, last *network.Buffer) []byte {
	n := 0
	for _, b := range []*network.Buffer{kept, last} {
		if b != nil {
			n += b.Len()
		}
	}
	out := make([]byte, 0, n)
	for _, b := range []*network.Buffer{kept, last} {
		if b != nil {
			for p := range b.Pieces {
				out = append(out, p...)
			}
		}
	}
	return out
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.settings, f.in, f.out = nil, nil, nil }
