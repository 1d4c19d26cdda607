package compressor

import (
	"slices"
	"strings"

	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// factory is a Compressor compiled.
type factory struct {
	library           *compression.Library
	request, response direction
	chooseFirst       bool
	noEtag            bool // responses with an etag are left alone
	weakenEtag        bool // a strong etag is made weak instead of removed
	removeAccept      bool // the upstream is not to compress
	reports           bool // responses say what became of them
	uncompressible    []int

	stats                       *stats.Group[Stats]
	requestStats, responseStats *stats.Group[DirectionStats]
	pools                       []compression.Pool // by worker
}

// routeSettings is a CompressorPerRoute compiled.
type routeSettings struct {
	disabled     bool
	enabled      bool // responses are compressed whatever the filter says
	removeAccept *bool
	library      *compression.Library
	pools        []compression.Pool
}

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: c, cb: cb, st: c.stats.For(w), in: c.requestStats.For(w), out: c.responseStats.For(w)}
}

// Close ends the filter's statistics.
func (c *factory) Close() {
	c.stats.Close()
	c.requestStats.Close()
	c.responseStats.Close()
}

// filter compresses one stream, and then later ones: see Recycle.
type filter struct {
	*factory
	cb      http.FilterCallbacks
	st      *Stats
	in, out *DirectionStats
	state
}

// state is what is zero when a stream begins.
type state struct {
	route        *routeSettings
	accept       string // the client's accept-encoding
	accepts      bool   // it has sent one
	chain        *chain
	encodeIn     *compression.Encoder // of the request
	encodeOut    *compression.Encoder // of the response
	respondingOn bool
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	for _, e := range []*compression.Encoder{f.encodeIn, f.encodeOut} {
		if e != nil {
			e.Release()
		}
	}
}

// lib is the library for this stream's responses.
func (f *filter) lib() *compression.Library {
	if f.route != nil && f.route.library != nil {
		return f.route.library
	}
	return f.library
}

func (f *filter) encoder(route bool) *compression.Encoder {
	if route && f.route != nil && f.route.library != nil {
		return f.route.library.Encoder(&f.route.pools[f.cb.Worker()])
	}
	return f.library.Encoder(&f.pools[f.cb.Worker()])
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.route, _ = http.RouteConfig[*routeSettings](f.cb)
	f.respondingOn = f.response.on()
	remove := f.removeAccept
	if r := f.route; r != nil {
		f.respondingOn = !r.disabled && (r.enabled || f.respondingOn)
		if r.removeAccept != nil {
			remove = *r.removeAccept
		}
	}
	f.accept, f.accepts = h.Get(http.AcceptEncoding), h.Has(http.AcceptEncoding)
	if f.accepts {
		f.join()
	}
	if f.respondingOn && remove {
		h.Remove(http.AcceptEncoding)
	}
	if !end && f.request.on() && !h.Has(http.Upgrade) && f.request.longEnough(h, f.in) && f.request.takesType(h) && !h.Has(http.ContentEncoding) && plainTransfer(h) {
		h.Remove(http.ContentLength)
		h.Set(http.ContentEncoding, f.library.Encoding)
		f.in.Compressed.Inc()
		f.encodeIn = f.encoder(false)
	} else {
		f.in.NotCompressed.Inc()
	}
	return http.HeadersContinue
}

// join enters the filter into the stream's chain of compressors.
func (f *filter) join() {
	info := f.cb.StreamInfo()
	c, _ := info.FilterState[chainKey].(*chain)
	if c == nil {
		c = &chain{}
		info.SetFilterState(chainKey, c)
	}
	c.members = append(c.members, f)
	f.chain = c
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.encodeIn != nil {
		compress(f.encodeIn, b, end, f.in)
	}
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.encodeIn != nil {
		b := f.cb.Loop().NewBuffer()
		compress(f.encodeIn, b, true, f.in)
		f.cb.InjectDecodedData(b, false)
	}
	return http.TrailersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if f.reports {
		f.encodeAndReport(h, end)
		return http.HeadersContinue
	}
	worthIt := f.respondingOn && f.response.longEnough(h, f.out)
	possible := worthIt && !h.Has(http.Upgrade) && f.response.takesType(h) && !noTransform(h) && f.etagAllows(h) &&
		!h.Has(http.ContentEncoding) && !f.isUncompressible(h)
	if !end && worthIt && f.accepted(h) && possible && plainTransfer(h) {
		f.startEncoding(h)
	} else {
		f.out.NotCompressed.Inc()
	}
	// Caches in front must know that other clients may get another form.
	if possible {
		addVary(h)
	}
	return http.HeadersContinue
}

// startEncoding changes the response's head for a compressed body.
func (f *filter) startEncoding(h *http.HeaderMap) {
	f.changeEtag(h)
	h.Remove(http.ContentLength)
	h.Set(http.ContentEncoding, f.lib().Encoding)
	f.out.Compressed.Inc()
	f.encodeOut = f.encoder(true)
}

func (f *filter) isUncompressible(h *http.HeaderMap) bool {
	return len(f.uncompressible) > 0 && slices.ContainsFunc(f.uncompressible, func(code int) bool { return h.Get(http.Status) == h.Int(int64(code)) })
}

func (f *filter) etagAllows(h *http.HeaderMap) bool {
	if f.noEtag && h.Has(http.ETag) {
		f.st.Etag.Inc()
		return false
	}
	return true
}

// accepted decides by the client's Accept-Encoding.
func (f *filter) accepted(h *http.HeaderMap) bool {
	if !f.accepts {
		f.st.NoAccept.Inc()
		return false
	}
	encoding, how := f.chain.choose(f.accept, h)
	ours := encoding == f.lib().Encoding
	switch how {
	case named:
		if ours {
			f.st.Used.Inc()
		} else {
			f.st.Overshadowed.Inc()
		}
	case notValid:
		f.st.NotValid.Inc()
	case identity:
		f.st.Identity.Inc()
	case wildcard:
		f.st.Wildcard.Inc()
	}
	return ours
}

// changeEtag weakens or removes a strong etag: the compressed form is another
// representation (RFC 9110 section 8.8.3).
func (f *filter) changeEtag(h *http.HeaderMap) {
	etag := h.Get(http.ETag)
	switch {
	case !h.Has(http.ETag), strings.HasPrefix(etag, "W/"), strings.HasPrefix(etag, "w/"):
	case f.weakenEtag:
		h.Set(http.ETag, h.Concat("W/", etag))
	default:
		h.Remove(http.ETag)
	}
}

func addVary(h *http.HeaderMap) {
	const name = "Accept-Encoding"
	old := h.Get(http.Vary)
	if old == "" {
		h.Set(http.Vary, name)
		return
	}
	for token := range strings.SplitSeq(old, ",") {
		if strings.TrimSpace(token) == name {
			return
		}
	}
	h.Set(http.Vary, h.Concat(old, ", ", name))
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.encodeOut != nil {
		compress(f.encodeOut, b, end, f.out)
	}
	return http.DataContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.encodeOut != nil {
		b := f.cb.Loop().NewBuffer()
		compress(f.encodeOut, b, true, f.out)
		f.cb.InjectEncodedData(b, false)
	}
	return http.TrailersContinue
}

func compress(e *compression.Encoder, b *network.Buffer, end bool, st *DirectionStats) {
	st.BytesIn.Add(uint64(b.Len()))
	e.Compress(b, end)
	st.BytesOut.Add(uint64(b.Len()))
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
