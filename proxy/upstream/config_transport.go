package upstream

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

const rawBuffer = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"

// transportSocket compiles the cluster's transport socket.
func (m *Manager) transportSocket(p field.Path, ts *corev3.TransportSocket, cfg *config) (err error) {
	cfg.info.Transport, err = m.transport(p, ts, cfg)
	return err
}

// transport compiles a transport socket; nil is a plain one.
func (m *Manager) transport(p field.Path, ts *corev3.TransportSocket, cfg *config) (cluster.Transport, error) {
	if ts == nil {
		return nil, nil
	}
	name := protos.TypeName(ts.GetTypedConfig())
	if name == rawBuffer || ts.GetTypedConfig() == nil && ts.GetName() == "envoy.transport_sockets.raw_buffer" {
		return nil, nil
	}
	make, ok := m.o.Transports["type.googleapis.com/"+name]
	switch {
	case ok:
		return make(p.Dot("typed_config"), ts.GetTypedConfig(), &TransportContext{Stats: m.o.Stats, StatPrefix: cfg.info.StatScope().Prefix, warm: &cfg.warm})
	case ts.GetTypedConfig() == nil:
		return nil, p.Dot("name").Errorf("weir does not support the transport socket %q to upstreams", ts.GetName())
	}
	return nil, p.Dot("typed_config").Errorf("weir does not support %s (%s) to upstreams", ts.GetName(), name)
}
