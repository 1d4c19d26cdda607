package istiopeer

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/istio"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream"
)

const (
	idHeader   = "x-envoy-peer-metadata-id"
	peerHeader = "x-envoy-peer-metadata"
)

// maxHeader bounds what is read of a peer, in bytes.
const maxHeader = 16 << 10

type settings struct {
	fromDownstream, fromUpstream bool         // read the headers
	toDownstream, toUpstream     *propagation // nil: tell nothing
}

type propagation struct{ skipExternal bool }

type factory struct {
	settings
	id, value string // of this node
	clusters  func(worker int) *upstream.Table
}

// New implements http.FilterFactory.
func (f *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{f: f, cb: cb}
}

type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	f  *factory
	cb http.FilterCallbacks
	asked
}

// asked is what the client's proxy told, and so is told in turn.
type asked struct{ id, peer bool }

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.f.fromDownstream {
		_, f.id = h.GetName(idHeader)
		_, f.peer = h.GetName(peerHeader)
		f.discover(h, "downstream_peer")
	}
	if p := f.f.toUpstream; p != nil && !(p.skipExternal && f.external(h)) {
		h.SetName(idHeader, f.f.id)
		h.SetName(peerHeader, f.f.value)
	}
	return http.HeadersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	if f.f.fromUpstream {
		f.discover(h, "upstream_peer")
	}
	if f.f.toDownstream == nil {
		return http.HeadersContinue
	}
	if f.id {
		h.SetName(idHeader, f.f.id)
	}
	if f.peer {
		h.SetName(peerHeader, f.f.value)
	}
	return http.HeadersContinue
}

// discover keeps what a peer tells of itself, and takes the headers off.
func (f *filter) discover(h *http.HeaderMap, name string) {
	if v, ok := h.GetName(peerHeader); ok && len(v) <= maxHeader {
		i := f.cb.StreamInfo()
		if _, twice := i.FilterState[name]; !twice {
			if m := decode(v); m != nil {
				i.SetFilterState(name, istio.NewPeer(m))
			}
		}
	}
	h.RemoveName(idHeader)
	h.RemoveName(peerHeader)
}

// external tells whether the request leaves the mesh.
func (f *filter) external(h *http.HeaderMap) bool {
	r, ok := f.cb.Route().(*route.Route)
	if !ok || r.Forward() == nil {
		return false
	}
	c := f.f.clusters(f.cb.Worker()).Get(r.Cluster(h))
	if c == nil {
		return false
	}
	external, _ := c.Info().Metadata["istio"]["external"].(bool)
	return external || c.Info().Name == "PassthroughCluster"
}

// OnDestroy implements http.StreamFilter.
func (*filter) OnDestroy() {}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.asked = asked{} }
