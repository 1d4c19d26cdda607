package buffer

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

type settings struct {
	disabled bool
	limit    uint32 // bytes
}

type factory struct{ settings settings }

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, settings: f.settings}
}

type filter struct {
	cb       http.FilterCallbacks
	settings settings
	limit    int64 // of this request
	holding  bool
	received int64
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	s := f.settings
	if c, ok := http.RouteConfig[*settings](f.cb); ok {
		s = *c
	}
	if end || s.disabled {
		return http.HeadersContinue
	}
	f.holding = true
	f.limit = int64(s.limit)
	f.cb.SetBufferLimit(s.limit)
	return http.HeadersStopIteration
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if !f.holding {
		return http.DataContinue
	}
	f.received += int64(b.Len())
	if !end || f.received > f.limit { // too much: the manager answers 413
		return http.DataStopAndBuffer
	}
	f.setLength()
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.holding {
		f.setLength()
	}
	return http.TrailersContinue
}

// setLength says how long the request is, now that it is known.
func (f *filter) setLength() {
	if h := f.cb.RequestHeaders(); !h.Has(http.ContentLength) {
		h.Remove(http.TransferEncoding)
		h.SetInt(http.ContentLength, f.received)
	}
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.holding, f.received = false, 0 }
