package lua

import (
	"crypto"
	"log/slog"
	"net/netip"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// factory is a Lua filter compiled.
type factory struct {
	script       *script // nil: only routes have scripts
	named        map[string]*script
	context      map[string]any
	keepRoute    bool // clear_route_cache: false
	client       func(worker int) async.Client
	localAddress netip.Addr
	log          *slog.Logger
	group        *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: c, cb: cb, stats: c.group.For(w)}
}

// Close ends the filter's statistics.
func (c *factory) Close() { c.group.Close() }

// filter runs scripts on one stream, and then on later ones: see Recycle.
type filter struct {
	*factory
	cb    http.FilterCallbacks
	stats *Stats
	streamState
}

// streamState is what is zero when a stream begins.
type streamState struct {
	vm                *vm // nil: no script runs
	chosen            bool
	settings          *routeSettings
	request, response *side
	keys              map[string]crypto.PublicKey // imported, by their DER
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.streamState = streamState{} }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	for _, s := range []*side{f.request, f.response} {
		if s != nil {
			s.destroy()
		}
	}
}

// machine is the machine of the stream's script; nil when it has none.
func (f *filter) machine() *vm {
	if f.chosen {
		return f.vm
	}
	f.chosen = true
	s := f.script
	if r, ok := http.RouteConfig[*routeSettings](f.cb); ok {
		f.settings = r
		switch {
		case r.disabled:
			s = nil
		case r.script != nil:
			s = r.script
		case r.name != "":
			s = f.named[r.name]
		}
	}
	if s == nil {
		return nil
	}
	v, err := s.vm(f.cb.Worker())
	if err != nil {
		f.fail(err)
		return nil
	}
	f.vm = v
	return v
}

// fail counts and logs a script's mistake.
func (f *filter) fail(err error) {
	f.stats.Errors.Inc()
	f.log.Error("script log: " + err.Error())
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	v := f.machine()
	if v == nil || v.request == nil {
		return http.HeadersContinue
	}
	f.request = &side{f: f, v: v, fn: v.request, headers: h, end: end}
	return f.request.start()
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.request == nil {
		return http.DataContinue
	}
	return f.request.onData(b, end)
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if f.request == nil {
		return http.TrailersContinue
	}
	return f.request.onTrailers(t)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.chosen, f.vm, f.settings = false, nil, nil // the route may be another one now
	v := f.machine()
	if v == nil || v.response == nil {
		return http.HeadersContinue
	}
	f.response = &side{f: f, v: v, fn: v.response, headers: h, end: end, response: true}
	return f.response.start()
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.response == nil {
		return http.DataContinue
	}
	return f.response.onData(b, end)
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if f.response == nil {
		return http.TrailersContinue
	}
	return f.response.onTrailers(t)
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
