package composite

import (
	"math/rand/v2"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// choice is an action: the filter to run, for a share of the requests; none is
// to skip.
type choice struct {
	run   http.FilterFactory
	name  string // of that filter
	chain string // or the name of a chain, which may not exist
	share fraction.Percent
}

// choices are a compiled matcher and all filters that it can choose.
type choices struct {
	tree    *tree.Tree[choice]
	filters []http.FilterFactory
}

// Close ends what the filters hold.
func (c *choices) Close() {
	for _, f := range c.filters {
		closeFactory(f)
	}
}

func closeFactory(f http.FilterFactory) {
	if c, ok := f.(interface{ Close() }); ok {
		c.Close()
	}
}

type factory struct {
	choices *choices           // nil: none
	inner   http.FilterFactory // unless it is skipped; nil: only what is chosen
	named   map[string]http.FilterFactory
	group   *stats.Group[Stats] // nil when there is no Composite
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	x := &filter{f: f, cb: cb}
	if f.inner != nil {
		x.set(f.inner.New(w, cb))
	}
	return x
}

// Close ends what the filters hold.
func (f *factory) Close() {
	if f.group != nil {
		f.group.Close()
	}
	closeFactory(f.inner)
	if f.choices != nil {
		f.choices.Close()
	}
	for _, c := range f.named {
		closeFactory(c)
	}
}

// filter passes everything to the filter that the matcher leaves or chooses.
// It serves one stream: the next may need another filter.
type filter struct {
	f       *factory
	cb      http.FilterCallbacks
	inner   http.StreamFilter // nil: none
	dec     http.DecoderFilter
	enc     http.EncoderFilter
	decided bool
	data    tree.Data
}

func (f *filter) set(x http.StreamFilter) {
	f.inner = x
	f.dec, _ = x.(http.DecoderFilter)
	f.enc, _ = x.(http.EncoderFilter)
}

// decide asks the matcher, with what is there by now.
func (f *filter) decide() {
	if f.decided {
		return
	}
	from := f.f.choices
	if own, ok := http.RouteConfig[*choices](f.cb); ok {
		from = own
	}
	if from == nil {
		f.decided = true
		return
	}
	d := &f.data
	d.SetStream(f.cb.StreamInfo())
	d.RequestHeaders, d.RequestTrailers = f.cb.RequestHeaders(), f.cb.RequestTrailers()
	d.ResponseHeaders, d.ResponseTrailers = f.cb.ResponseHeaders(), f.cb.ResponseTrailers()
	c, r := from.tree.Match(d)
	if r == tree.NotYet {
		return
	}
	f.decided = true
	switch {
	case r == tree.NoMatch:
	case c.chain != "":
		if run := f.f.named[c.chain]; run != nil && c.share.Picks(rand.Uint64()) {
			f.set(run.New(f.cb.Worker(), f.cb))
		}
	case c.run == nil:
		f.OnDestroy()
		f.inner, f.dec, f.enc = nil, nil, nil
	case c.share.Picks(rand.Uint64()):
		f.set(c.run.New(f.cb.Worker(), f.cb))
		if f.f.group != nil {
			f.f.group.For(f.cb.Worker()).Success.Inc()
			note(f.cb.StreamInfo(), f.cb.FilterName(), c.name)
		}
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.decide()
	if f.dec == nil {
		return http.HeadersContinue
	}
	return f.dec.DecodeHeaders(h, end)
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.dec == nil {
		return http.DataContinue
	}
	return f.dec.DecodeData(b, end)
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	f.decide()
	if f.dec == nil {
		return http.TrailersContinue
	}
	return f.dec.DecodeTrailers(t)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.decide()
	if f.enc == nil {
		return http.HeadersContinue
	}
	return f.enc.EncodeHeaders(h, end)
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.enc == nil {
		return http.DataContinue
	}
	return f.enc.EncodeData(b, end)
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	f.decide()
	if f.enc == nil {
		return http.TrailersContinue
	}
	return f.enc.EncodeTrailers(t)
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	if f.inner != nil {
		f.inner.OnDestroy()
	}
}
