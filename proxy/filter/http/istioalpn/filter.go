package istioalpn

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// stateKey is where upstream connections look for application protocols.
const stateKey = "envoy.network.application_protocols"

type factory struct {
	http1, http2 string // comma-separated; "" leaves the cluster's
	clusters     func(worker int) *upstream.Table
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

type filter struct {
	http.PassRequestBody
	f  *factory
	cb http.FilterCallbacks
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	r, ok := f.cb.Route().(*route.Route)
	if !ok || r.Forward() == nil {
		return http.HeadersContinue
	}
	c := f.f.clusters(f.cb.Worker()).Get(r.Cluster(h))
	if c == nil {
		return http.HeadersContinue
	}
	list := f.f.http1
	if f.speaksHTTP2(c.Info().Protocol) {
		list = f.f.http2
	}
	if list != "" {
		f.cb.StreamInfo().SetFilterState(stateKey, list)
	}
	return http.HeadersContinue
}

// speaksHTTP2 tells whether HTTP/2 is what the cluster is spoken to, or would
// be at best.
func (f *filter) speaksHTTP2(p cluster.Protocol) bool {
	switch p {
	case cluster.HTTP2, cluster.Auto:
		return true
	case cluster.UseDownstream:
		return f.cb.StreamInfo().Protocol == "HTTP/2"
	}
	return false
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
