package http

import (
	"github.com/weirproxy/weir/proxy/ecds"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// discoveredFactory makes filters of the configuration that is newest when a
// stream begins.
type discoveredFactory struct{ slot *ecds.Slot[FilterFactory] }

// New implements FilterFactory.
func (f discoveredFactory) New(w int, cb FilterCallbacks) StreamFilter {
	return &discoveredFilter{slot: f.slot, worker: w, cb: cb}
}

// discoveredFilter passes all on to a filter that it makes when a stream first
// comes to it, and keeps for later streams while the configuration stays.
type discoveredFilter struct {
	slot    *ecds.Slot[FilterFactory]
	worker  int
	cb      FilterCallbacks
	version *ecds.Version[FilterFactory] // that inner is made by; held while in use
	inner   StreamFilter
	dec     DecoderFilter
	enc     EncoderFilter
	in      bool // the stream has come to it
	missing bool // without a configuration
}

// enter readies the filter for the stream.
func (f *discoveredFilter) enter() {
	if f.in {
		return
	}
	f.in = true
	v := f.slot.Get(f.worker)
	if f.missing = v == nil; f.missing {
		return
	}
	v.Hold(f.worker)
	if v == f.version {
		return
	}
	f.version, f.inner = v, v.Value.New(f.worker, f.cb)
	f.dec, _ = f.inner.(DecoderFilter)
	f.enc, _ = f.inner.(EncoderFilter)
}

// DecodeHeaders implements DecoderFilter.
func (f *discoveredFilter) DecodeHeaders(h *HeaderMap, end bool) HeadersStatus {
	f.enter()
	if f.missing {
		f.cb.StreamInfo().SetFlag(streaminfo.NoFilterConfigFound)
		f.cb.SendLocalReply(500, "", nil, NoGrpcStatus, "")
		return HeadersStopIteration
	}
	if f.dec == nil {
		return HeadersContinue
	}
	return f.dec.DecodeHeaders(h, end)
}

// DecodeData implements DecoderFilter.
func (f *discoveredFilter) DecodeData(b *network.Buffer, end bool) DataStatus {
	if f.dec == nil || f.missing {
		return DataContinue
	}
	return f.dec.DecodeData(b, end)
}

// DecodeTrailers implements DecoderFilter.
func (f *discoveredFilter) DecodeTrailers(t *HeaderMap) TrailersStatus {
	if f.dec == nil || f.missing {
		return TrailersContinue
	}
	return f.dec.DecodeTrailers(t)
}

// EncodeHeaders implements EncoderFilter.
func (f *discoveredFilter) EncodeHeaders(h *HeaderMap, end bool) HeadersStatus {
	f.enter()
	if f.enc == nil || f.missing {
		return HeadersContinue
	}
	return f.enc.EncodeHeaders(h, end)
}

// EncodeData implements EncoderFilter.
func (f *discoveredFilter) EncodeData(b *network.Buffer, end bool) DataStatus {
	if f.enc == nil || f.missing {
		return DataContinue
	}
	return f.enc.EncodeData(b, end)
}

// EncodeTrailers implements EncoderFilter.
func (f *discoveredFilter) EncodeTrailers(t *HeaderMap) TrailersStatus {
	if f.enc == nil || f.missing {
		return TrailersContinue
	}
	return f.enc.EncodeTrailers(t)
}

// OnDestroy implements StreamFilter.
func (f *discoveredFilter) OnDestroy() {
	if f.in && !f.missing {
		f.inner.OnDestroy()
		f.version.Release(f.worker)
	}
}

// Recycle implements Recycler.
func (f *discoveredFilter) Recycle() {
	if !f.in {
		return
	}
	f.in = false
	if f.missing {
		return
	}
	if r, ok := f.inner.(Recycler); ok {
		r.Recycle()
	} else {
		f.version, f.inner, f.dec, f.enc = nil, nil, nil, nil
	}
}
