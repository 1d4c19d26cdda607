package composite

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
)

// chainFactory makes several filters that run as one.
type chainFactory struct{ filters []http.FilterFactory }

// New implements http.FilterFactory.
func (f *chainFactory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	c := &chain{filters: make([]http.StreamFilter, len(f.filters))}
	for i, x := range f.filters {
		c.filters[i] = x.New(w, cb)
	}
	return c
}

// Close ends what the filters hold.
func (f *chainFactory) Close() {
	for _, x := range f.filters {
		closeFactory(x)
	}
}

// chain asks its filters one after another, responses in reverse. A filter that
// stops does so for the whole chain: those behind it are not asked when it goes
// on, as in Envoy.
type chain struct{ filters []http.StreamFilter }

// DecodeHeaders implements http.DecoderFilter.
func (c *chain) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	for _, f := range c.filters {
		if d, ok := f.(http.DecoderFilter); ok {
			if st := d.DecodeHeaders(h, end); st != http.HeadersContinue {
				return st
			}
		}
	}
	return http.HeadersContinue
}

// DecodeData implements http.DecoderFilter.
func (c *chain) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	for _, f := range c.filters {
		if d, ok := f.(http.DecoderFilter); ok {
			if st := d.DecodeData(b, end); st != http.DataContinue {
				return st
			}
		}
	}
	return http.DataContinue
}

// DecodeTrailers implements http.DecoderFilter.
func (c *chain) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	for _, f := range c.filters {
		if d, ok := f.(http.DecoderFilter); ok {
			if st := d.DecodeTrailers(t); st != http.TrailersContinue {
				return st
			}
		}
	}
	return http.TrailersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (c *chain) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	for i := len(c.filters) - 1; i >= 0; i-- {
		if e, ok := c.filters[i].(http.EncoderFilter); ok {
			if st := e.EncodeHeaders(h, end); st != http.HeadersContinue {
				return st
			}
		}
	}
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (c *chain) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	for i := len(c.filters) - 1; i >= 0; i-- {
		if e, ok := c.filters[i].(http.EncoderFilter); ok {
			if st := e.EncodeData(b, end); st != http.DataContinue {
				return st
			}
		}
	}
	return http.DataContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (c *chain) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	for i := len(c.filters) - 1; i >= 0; i-- {
		if e, ok := c.filters[i].(http.EncoderFilter); ok {
			if st := e.EncodeTrailers(t); st != http.TrailersContinue {
				return st
			}
		}
	}
	return http.TrailersContinue
}

// OnDestroy implements http.StreamFilter.
func (c *chain) OnDestroy() {
	for _, f := range c.filters {
		f.OnDestroy()
	}
}
