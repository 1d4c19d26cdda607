package internalupstream

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Stats are under cluster.NAME.internal_upstream.
type Stats struct {
	NoMetadata stats.Counter `stat:"no_metadata"`
}

// transport is the compiled configuration.
type transport struct {
	sources []source
	inner   cluster.Transport // nil: plain bytes
	stats   *stats.Group[Stats]
}

// source is a namespace of metadata to hand on.
type source struct {
	namespace string
	ofCluster bool // not of the host
}

// Socket implements cluster.Transport.
func (t *transport) Socket(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) network.TransportSocket {
	if t.inner == nil {
		return nil
	}
	return t.inner.Socket(l, h, o)
}

// Secure implements cluster.Conditional.
func (t *transport) Secure(h *cluster.Host) bool { return cluster.Secure(t.inner, h) }

// Brings implements cluster.Bringer. Where two sources have one namespace, the
// latter is handed on.
func (t *transport) Brings(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) *network.Brought {
	b := &network.Brought{Objects: network.DecodeShared(o.Shared)}
	for _, s := range t.sources {
		from := h.Metadata()
		if s.ofCluster {
			from = h.Cluster.Metadata
		}
		values, ok := from[s.namespace]
		if !ok {
			t.stats.For(l.Worker).NoMetadata.Inc()
			continue
		}
		if b.Metadata == nil {
			b.Metadata = map[string]map[string]any{}
		}
		b.Metadata[s.namespace] = values
	}
	return b
}
