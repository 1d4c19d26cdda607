package setfilterstate

import (
	"github.com/weirproxy/weir/proxy/filterstate"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
)

// settings are a filter's, or those that a route has besides.
type settings struct {
	values     filterstate.Values
	clearRoute bool // choose the route anew, as it may look at the objects
}

type factory struct{ settings *settings }

// New implements http.FilterFactory.
func (f factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{cb: cb, settings: f.settings}
}

type filter struct {
	http.PassRequestBody
	cb       http.FilterCallbacks
	settings *settings
	context  formatter.Context
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(*http.HeaderMap, bool) http.HeadersStatus {
	f.context = formatter.OfRequest(f.cb)
	clearRoute := f.apply(f.settings)
	if r, ok := http.RouteConfig[*settings](f.cb); ok {
		clearRoute = f.apply(r) || clearRoute
	}
	if clearRoute {
		f.cb.ClearRouteCache()
	}
	return http.HeadersContinue
}

func (f *filter) apply(s *settings) bool {
	s.values.Set(&f.context, f.context.Info)
	return s.clearRoute
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.context = formatter.Context{} }
