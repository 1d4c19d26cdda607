package pool

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// NoHTTP2 stands where the HTTP/2 pool will: it fails every request, saying
// why.
type NoHTTP2 struct{ Peer *cluster.Host }

// NewStream implements HTTP.
func (n NoHTTP2) NewStream(_ http.ResponseDecoder, cb StreamCallbacks) Cancellable {
	cb.OnPoolFailure(LocalConnectionFailure, "weir does not speak HTTP/2 to upstreams yet", n.Peer)
	return nil
}

// Host implements HTTP.
func (n NoHTTP2) Host() *cluster.Host { return n.Peer }

// Protocol implements HTTP.
func (n NoHTTP2) Protocol() http.ProtocolVersion { return http.HTTP2 }
