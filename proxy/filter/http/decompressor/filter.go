package decompressor

import (
	"strings"

	"github.com/weirproxy/weir/proxy/compression"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are of requests or of responses, under
// http.<prefix>.decompressor.<library name>.<library>.
type Stats struct {
	Decompressed    stats.Counter `stat:"decompressed"`
	NotDecompressed stats.Counter `stat:"not_decompressed"`
	BytesIn         stats.Counter `stat:"total_compressed_bytes"`
	BytesOut        stats.Counter `stat:"total_uncompressed_bytes"`
}

// direction is a CommonDirectionConfig compiled.
type direction struct {
	enabled           fraction.Flag
	ignoreNoTransform bool
}

// factory is a Decompressor compiled.
type factory struct {
	library                     *compression.Decoder
	request, response           direction
	advertise                   bool // upstreams are told that the coding is accepted
	requestStats, responseStats *stats.Group[Stats]
	failures                    failures
}

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	f := &filter{factory: c, cb: cb, in: c.requestStats.For(w), out: c.responseStats.For(w), worker: w}
	return f
}

// Close ends the filter's statistics.
func (c *factory) Close() {
	c.requestStats.Close()
	c.responseStats.Close()
	c.failures.close()
}

// filter decompresses one stream, and then later ones: see Recycle.
type filter struct {
	*factory
	cb       http.FilterCallbacks
	in, out  *Stats
	worker   int
	inbound  *flow // nil: the request is left alone
	outbound *flow
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.inbound, f.outbound = nil, nil }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	for _, x := range []*flow{f.inbound, f.outbound} {
		if x != nil {
			x.stop()
		}
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if f.advertise {
		f.announce(h)
	}
	if end {
		return http.HeadersContinue
	}
	if f.inbound = f.begin(&f.request, h, f.in); f.inbound != nil {
		f.inbound.inject, f.inbound.goOn = f.cb.InjectDecodedData, f.cb.ContinueDecoding
	}
	return http.HeadersContinue
}

// announce adds the coding to accept-encoding, as the most welcome.
func (f *filter) announce(h *http.HeaderMap) {
	var kept []string
	for item := range strings.SplitSeq(h.Get(http.AcceptEncoding), ",") {
		coding, _, _ := strings.Cut(item, ";")
		if item = strings.TrimSpace(item); item != "" && !strings.EqualFold(strings.TrimSpace(coding), f.library.Encoding) {
			kept = append(kept, item)
		}
	}
	kept = append(kept, f.library.Encoding)
	h.Set(http.AcceptEncoding, h.Own(strings.Join(kept, ",")))
}

// begin decides whether a message is decompressed, and changes its head.
func (f *filter) begin(d *direction, h *http.HeaderMap, st *Stats) *flow {
	first, rest, more := strings.Cut(h.Get(http.ContentEncoding), ",")
	if !d.enabled.On() || !d.ignoreNoTransform && noTransform(h) || !strings.EqualFold(strings.TrimSpace(first), f.library.Encoding) {
		st.NotDecompressed.Inc()
		return nil
	}
	st.Decompressed.Inc()
	h.Remove(http.ContentLength)
	if more {
		h.Set(http.ContentEncoding, strings.TrimSpace(rest))
	} else {
		h.Remove(http.ContentEncoding)
	}
	return newFlow(f.library, f.cb, st, f.failures.of(f.worker))
}

// noTransform tells whether cache-control forbids it (RFC 9111 section
// 5.2.1.6 and 5.2.2.6).
func noTransform(h *http.HeaderMap) bool {
	for d := range strings.SplitSeq(h.Get(http.CacheControl), ",") {
		if strings.EqualFold(strings.TrimSpace(d), "no-transform") {
			return true
		}
	}
	return false
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.inbound == nil {
		return http.DataContinue
	}
	f.inbound.feed(b, end)
	return http.DataStopNoBuffer
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.inbound == nil {
		return http.TrailersContinue
	}
	return f.inbound.trailers()
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if end {
		return http.HeadersContinue
	}
	if f.outbound = f.begin(&f.response, h, f.out); f.outbound != nil {
		f.outbound.inject, f.outbound.goOn = f.cb.InjectEncodedData, f.cb.ContinueEncoding
	}
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.outbound == nil {
		return http.DataContinue
	}
	f.outbound.feed(b, end)
	return http.DataStopNoBuffer
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.outbound == nil {
		return http.TrailersContinue
	}
	return f.outbound.trailers()
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
