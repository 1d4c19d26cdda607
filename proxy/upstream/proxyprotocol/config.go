package proxyprotocol

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	proxyprotocolv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/proxy_protocol/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the socket's configuration.
const TypeURL = "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport"

// New is an upstream.TransportFactory.
func New(p field.Path, config *anypb.Any, ctx *upstream.TransportContext) (cluster.Transport, error) {
	m := &proxyprotocolv3.ProxyProtocolUpstreamTransport{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "config", "transport_socket"); err != nil {
		return nil, err
	}
	c, cp := m.GetConfig(), p.Dot("config")
	if err := field.Only(cp, c, "version", "pass_through_tlvs", "added_tlvs"); err != nil {
		return nil, err
	}
	t := &transport{v2: c.GetVersion() == corev3.ProxyProtocolConfig_V2}
	if pass := c.GetPassThroughTlvs(); pass != nil {
		t.pass = &passThrough{all: pass.GetMatchType() == corev3.ProxyProtocolPassThroughTLVs_INCLUDE_ALL}
		for i, kind := range pass.GetTlvType() {
			if kind > 255 {
				return nil, cp.Dot("pass_through_tlvs").Dot("tlv_type").Index(i).Errorf("%d is not a TLV type (0 to 255)", kind)
			}
			t.pass.kinds[kind] = true
		}
	}
	for i, e := range c.GetAddedTlvs() {
		ep := cp.Dot("added_tlvs").Index(i)
		if err := field.Only(ep, e, "type", "value"); err != nil {
			return nil, err
		}
		if e.GetType() > 255 {
			return nil, ep.Dot("type").Errorf("%d is not a TLV type (0 to 255)", e.GetType())
		}
		t.added = append(t.added, network.TLV{Type: byte(e.GetType()), Value: e.GetValue()})
	}
	if m.GetTransportSocket() == nil {
		return nil, p.Dot("transport_socket").Errorf("missing")
	}
	ctx.UseAddresses()
	var err error
	t.inner, err = ctx.Transport(p.Dot("transport_socket"), m.GetTransportSocket())
	return t, err
}
