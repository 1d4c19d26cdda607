package listener

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/weirproxy/weir/internal/field"
)

func isUDP(a *corev3.Address) bool {
	return a.GetSocketAddress().GetProtocol() == corev3.SocketAddress_UDP
}

// defaultWriter sends each datagram by itself, which in weir is up to the
// batches that filters make.
const defaultWriter = "type.googleapis.com/envoy.extensions.udp_packet_writer.v3.UdpDefaultWriterFactory"

// udpSettings compiles what a UDP listener has of its own.
func (c *compiler) udpSettings() error {
	p := c.proto
	switch {
	case len(p.GetFilterChains()) > 0 || p.GetDefaultFilterChain() != nil:
		return c.path.Dot("filter_chains").Errorf("a UDP listener has no connections that filter chains could be for")
	case len(c.server.Workers) > 1 && !c.out.bindings[0].reusePort:
		return c.path.Dot("enable_reuse_port").Errorf("workers that share a UDP socket would split sessions: set it, or use --concurrency 1")
	}
	u := p.GetUdpListenerConfig()
	path := c.path.Dot("udp_listener_config")
	if err := field.Only(path, u, "downstream_socket_config", "udp_packet_packet_writer_config"); err != nil {
		return err
	}
	if w := u.GetUdpPacketPacketWriterConfig(); w != nil && typeURL(w.GetTypedConfig()) != defaultWriter {
		return unknown(path.Dot("udp_packet_packet_writer_config"), "UDP packet writer", w.GetName(), w.GetTypedConfig())
	}
	c.out.udp = &udpListener{}
	c.out.udp.maxSize, c.out.udp.gro = UDPSocketConfig(u.GetDownstreamSocketConfig(), false)
	return nil
}

// UDPSocketConfig is the most bytes that a received datagram may have, and
// whether the kernel shall join datagrams, where gro is the default.
func UDPSocketConfig(c *corev3.UdpSocketConfig, gro bool) (maxSize int, preferGRO bool) {
	const maxSizeDefault = 1500
	maxSize, preferGRO = maxSizeDefault, gro
	if v := c.GetMaxRxDatagramSize(); v != nil {
		maxSize = int(v.GetValue())
	}
	if v := c.GetPreferGro(); v != nil {
		preferGRO = v.GetValue()
	}
	return maxSize, preferGRO
}

func (c *compiler) udpFilters() error {
	ctx := c.context("")
	for i, f := range c.proto.GetListenerFilters() {
		path := c.path.Dot("listener_filters").Index(i)
		if err := field.Only(path, f, "name", "typed_config"); err != nil {
			return err
		}
		make, ok := c.factories.UDP[typeURL(f.GetTypedConfig())]
		if !ok {
			return unknown(path, "UDP listener filter", f.GetName(), f.GetTypedConfig())
		}
		filter, err := make(path.Dot("typed_config"), f.GetTypedConfig(), ctx)
		if err != nil {
			return err
		}
		if filter != nil {
			c.out.udp.filters = append(c.out.udp.filters, filter)
		}
	}
	if len(c.out.udp.filters) > 0 && !c.out.bind {
		return c.path.Dot("bind_to_port").Errorf("a UDP listener has to be bound")
	}
	return nil
}
