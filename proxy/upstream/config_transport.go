package upstream

import (
	"maps"
	"reflect"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

const rawBuffer = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"

// transportSockets compiles the cluster's transport sockets.
func (m *Manager) transportSockets(p field.Path, c *clusterv3.Cluster, cfg *config) (err error) {
	t := &cfg.transports
	if t.fallback, err = m.transport(p.Dot("transport_socket"), c.GetTransportSocket(), cfg); err != nil {
		return err
	}
	cfg.info.Transport = t.fallback
	for i, x := range c.GetTransportSocketMatches() {
		p := p.Dot("transport_socket_matches").Index(i)
		if err := field.Only(p, x, "name", "match", "transport_socket"); err != nil {
			return err
		}
		if x.GetTransportSocket() == nil {
			return p.Dot("transport_socket").Errorf("missing")
		}
		s := socketMatch{name: x.GetName(), labels: x.GetMatch().AsMap()}
		if s.transport, err = m.transport(p.Dot("transport_socket"), x.GetTransportSocket(), cfg); err != nil {
			return err
		}
		t.matches = append(t.matches, s)
		cfg.info.Transport = t
	}
	return nil
}

// transport compiles a transport socket; nil is a plain one.
func (m *Manager) transport(p field.Path, ts *corev3.TransportSocket, cfg *config) (cluster.Transport, error) {
	if ts == nil {
		return nil, nil
	}
	name := protos.TypeName(ts.GetTypedConfig())
	if name == rawBuffer {
		return nil, nil
	}
	make, ok := m.o.Transports["type.googleapis.com/"+name]
	switch {
	case ok:
		return make(p.Dot("typed_config"), ts.GetTypedConfig(), &TransportContext{Stats: m.o.Stats, StatPrefix: cfg.info.StatScope().Prefix, m: m, cfg: cfg})
	case ts.GetTypedConfig() == nil:
		return nil, p.Dot("name").Errorf("weir does not support the transport socket %q to upstreams", ts.GetName())
	}
	return nil, p.Dot("typed_config").Errorf("weir does not support %s (%s) to upstreams", ts.GetName(), name)
}

// Transport compiles a transport socket that lies inside another.
func (c *TransportContext) Transport(p field.Path, ts *corev3.TransportSocket) (cluster.Transport, error) {
	return c.m.transport(p, ts, c.cfg)
}

// autoSNI compiles how the SNI follows from requests.
func autoSNI(p field.Path, o *corev3.UpstreamHttpProtocolOptions, info *cluster.Info) error {
	if err := field.Only(p, o, "auto_sni", "auto_san_validation", "override_auto_sni_header"); err != nil {
		return err
	}
	info.AutoSNI, info.AutoSANs, info.AutoSNIHeader = o.GetAutoSni(), o.GetAutoSanValidation(), o.GetOverrideAutoSniHeader()
	if info.AutoSANs && !info.AutoSNI {
		return p.Dot("auto_san_validation").Errorf("needs auto_sni")
	}
	return nil
}

// socketMatches choose a host's transport socket by its metadata
// (transport_socket_matches).
type socketMatches struct {
	matches  []socketMatch
	fallback cluster.Transport // nil: plain bytes
}

// socketMatch is for hosts with all of the labels.
type socketMatch struct {
	name      string
	labels    map[string]any
	transport cluster.Transport // nil: plain bytes
}

// matchNamespace is where hosts have the labels.
const matchNamespace = "envoy.transport_socket_match"

// find is the first match for a host; nil when none is, and the cluster's own
// transport socket is used.
func (t *socketMatches) find(h *cluster.Host) *socketMatch {
	for i := range t.matches {
		m := &t.matches[i]
		if m.matches(h.Metadata()) || m.matches(h.LocalityMetadata()) {
			return m
		}
	}
	return nil
}

func (m *socketMatch) matches(of cluster.Metadata) bool {
	has := of[matchNamespace]
	for k, want := range m.labels {
		if got, ok := has[k]; !ok || !reflect.DeepEqual(got, want) {
			return false
		}
	}
	return true
}

// of is the transport of connections to h; nil is a plain one.
func (t *socketMatches) of(h *cluster.Host) cluster.Transport {
	if m := t.find(h); m != nil {
		return m.transport
	}
	return t.fallback
}

// Socket implements cluster.Transport.
func (t *socketMatches) Socket(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) network.TransportSocket {
	x := t.of(h)
	if x == nil {
		return nil
	}
	return x.Socket(l, h, o)
}

// Brings implements cluster.Bringer.
func (t *socketMatches) Brings(l *network.Loop, h *cluster.Host, o cluster.TransportOptions) *network.Brought {
	return cluster.Brings(t.of(h), l, h, o)
}

// Secure implements cluster.Conditional.
func (t *socketMatches) Secure(h *cluster.Host) bool { return cluster.Secure(t.of(h), h) }

// matchStats are those of one match, under its name.
type matchStats struct {
	Total stats.Counter `stat:"total_match_count"`
}

// count counts which transport sockets new hosts have.
func (c *master) countTransports(added []*cluster.Host) {
	t := &c.cfg.transports
	for _, h := range added {
		if m := t.find(h); m != nil {
			c.matched(m.name).Total.Inc()
		} else {
			c.stats.TransportMatches.Inc()
		}
	}
}

func (c *master) matched(name string) *matchStats {
	if c.byMatch == nil {
		c.byMatch = map[string]*stats.Group[matchStats]{}
	}
	g := c.byMatch[name]
	if g == nil {
		g = stats.NewGroup[matchStats](c.m.o.Stats, stats.Scope{Prefix: c.cfg.info.StatScope().Prefix + name + "."})
		c.byMatch[name] = g
	}
	return g.For(0)
}

func (c *master) closeMatches() {
	for g := range maps.Values(c.byMatch) {
		g.Close()
	}
}
