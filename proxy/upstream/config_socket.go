package upstream

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"net/netip"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// BindBy sets how the sockets of clusters are bound that don't say it
// themselves (cluster_manager.upstream_bind_config, which is at p).
func (m *Manager) BindBy(p field.Path, b *corev3.BindConfig) error { return bindConfig(p, b, &m.bind) }

// socketOptions compiles how upstream sockets are made.
func (m *Manager) socketOptions(p field.Path, c *clusterv3.Cluster, info *cluster.Info) error {
	s := &cluster.SocketOptions{}
	if c.GetUpstreamBindConfig() == nil {
		s.Bind, s.Options = m.bind.Bind, slices.Clone(m.bind.Options)
	}
	if c.GetUpstreamBindConfig() == nil && c.GetUpstreamConnectionOptions() == nil && len(s.Options) == 0 {
		return nil
	}
	if err := firstError(
		happyEyeballs(p.Dot("upstream_connection_options").Dot("happy_eyeballs_config"), c.GetUpstreamConnectionOptions().GetHappyEyeballsConfig(), &info.HappyEyeballs),
		bindConfig(p.Dot("upstream_bind_config"), c.GetUpstreamBindConfig(), s),
		keepalive(p.Dot("upstream_connection_options"), c.GetUpstreamConnectionOptions(), s),
	); err != nil {
		return err
	}
	info.Socket = s
	return nil
}

func bindConfig(p field.Path, b *corev3.BindConfig, s *cluster.SocketOptions) error {
	if b == nil {
		return nil
	}
	if err := field.Only(p, b, "source_address", "freebind", "socket_options", "extra_source_addresses", "additional_source_addresses"); err != nil {
		return err
	}
	sources := []*corev3.SocketAddress{b.GetSourceAddress()}
	paths := []field.Path{p.Dot("source_address")}
	for i, e := range b.GetExtraSourceAddresses() {
		p := p.Dot("extra_source_addresses").Index(i)
		if err := field.Only(p, e, "address"); err != nil {
			return err
		}
		sources, paths = append(sources, e.GetAddress()), append(paths, p.Dot("address"))
	}
	for i, sa := range b.GetAdditionalSourceAddresses() { // deprecated
		if len(b.GetExtraSourceAddresses()) > 0 {
			return p.Dot("additional_source_addresses").Errorf("stands beside extra_source_addresses")
		}
		sources, paths = append(sources, sa), append(paths, p.Dot("additional_source_addresses").Index(i))
	}
	for i, sa := range sources {
		if sa == nil {
			continue
		}
		a, _, err := socketAddress(paths[i], sa, false)
		if err != nil {
			return err
		}
		for _, other := range s.Bind {
			if other.Addr().Is4() == a.Addr().Is4() {
				return paths[i].Errorf("%v and %v are of the same address family: one of each is possible", other, a)
			}
		}
		s.Bind = append(s.Bind, a)
	}
	if len(s.Bind) > 0 {
		// The port is chosen at connect, when the destination is known, so
		// that ports don't run out.
		s.Options = append(s.Options, network.SocketOption{Level: unix.IPPROTO_IP, Name: unix.IP_BIND_ADDRESS_NO_PORT, Int: 1, Description: "upstream_bind_config"})
	}
	if b.GetFreebind().GetValue() {
		s.Options = append(s.Options, network.SocketOption{Level: unix.IPPROTO_IP, Name: unix.IP_FREEBIND, Int: 1, Description: "freebind"})
	}
	for i, o := range b.GetSocketOptions() {
		so, err := socketOption(p.Dot("socket_options").Index(i), o)
		if err != nil {
			return err
		}
		if o.GetType().GetDatagram() != nil {
			continue // connections are streams
		}
		s.Options = append(s.Options, so)
	}
	return nil
}

func socketOption(p field.Path, o *corev3.SocketOption) (network.SocketOption, error) {
	so := network.SocketOption{Level: int(o.GetLevel()), Name: int(o.GetName()), Description: o.GetDescription()}
	if err := field.Only(p, o, "description", "level", "name", "int_value", "buf_value", "state", "type"); err != nil {
		return so, err
	}
	switch v := o.GetValue().(type) {
	case *corev3.SocketOption_IntValue:
		so.Int = int(v.IntValue)
	case *corev3.SocketOption_BufValue:
		so.Bytes = append([]byte{}, v.BufValue...)
	}
	if o.GetState() != corev3.SocketOption_STATE_PREBIND {
		return so, p.Dot("state").Errorf("an upstream socket takes options in STATE_PREBIND only, not %v", o.GetState())
	}
	return so, nil
}

func keepalive(p field.Path, o *clusterv3.UpstreamConnectionOptions, s *cluster.SocketOptions) error {
	k, kp := o.GetTcpKeepalive(), p.Dot("tcp_keepalive")
	if err := firstError(
		field.Only(p, o, "tcp_keepalive", "happy_eyeballs_config"),
		field.Only(kp, k, "keepalive_probes", "keepalive_time", "keepalive_interval"),
	); err != nil || k == nil {
		return err
	}
	add := func(level, name int, v uint32) {
		s.Options = append(s.Options, network.SocketOption{Level: level, Name: name, Int: int(v), Description: "tcp_keepalive"})
	}
	add(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	if v := k.GetKeepaliveProbes(); v != nil {
		add(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, v.GetValue())
	}
	if v := k.GetKeepaliveTime(); v != nil {
		add(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, v.GetValue())
	}
	if v := k.GetKeepaliveInterval(); v != nil {
		add(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, v.GetValue())
	}
	return nil
}

func happyEyeballs(p field.Path, c *clusterv3.UpstreamConnectionOptions_HappyEyeballsConfig, out *cluster.HappyEyeballs) error {
	switch v := c.GetFirstAddressFamilyVersion(); v {
	case clusterv3.UpstreamConnectionOptions_DEFAULT:
	case clusterv3.UpstreamConnectionOptions_V4:
		out.First = cluster.IPv4
	case clusterv3.UpstreamConnectionOptions_V6:
		out.First = cluster.IPv6
	default:
		return p.Dot("first_address_family_version").Errorf("weir does not support %v", v)
	}
	if n := c.GetFirstAddressFamilyCount(); n != nil {
		if out.Count = int(n.GetValue()); out.Count == 0 {
			return p.Dot("first_address_family_count").Errorf("0 is less than 1")
		}
	}
	return field.Only(p, c, "first_address_family_version", "first_address_family_count")
}

// address compiles an endpoint's address: an IP address with a port, a pipe,
// an internal listener or, where names may stand, a name.
func address(p field.Path, a *corev3.Address, names bool) (addr network.Address, name string, err error) {
	switch x := a.GetAddress().(type) {
	case *corev3.Address_SocketAddress:
		return socketAddress(p.Dot("socket_address"), x.SocketAddress, names)
	case *corev3.Address_Pipe:
		if names {
			return addr, "", p.Dot("pipe").Errorf("a DNS cluster cannot resolve the path of a socket")
		}
		if x.Pipe.GetPath() == "" {
			return addr, "", p.Dot("pipe").Dot("path").Errorf("missing")
		}
		// mode is for sockets that are bound to the path.
		return network.Address{Path: x.Pipe.GetPath()}, "", field.Only(p.Dot("pipe"), x.Pipe, "path", "mode")
	case *corev3.Address_EnvoyInternalAddress:
		p := p.Dot("envoy_internal_address")
		if names {
			return addr, "", p.Errorf("a DNS cluster cannot resolve the name of a listener")
		}
		i := x.EnvoyInternalAddress
		return network.InternalAddress(i.GetServerListenerName(), i.GetEndpointId()), "", field.Only(p, i, "server_listener_name", "endpoint_id")
	case nil:
		return addr, "", p.Errorf("missing")
	}
	return addr, "", p.Errorf("weir supports socket_address, pipe and envoy_internal_address here")
}

func socketAddress(p field.Path, a *corev3.SocketAddress, names bool) (addr network.Address, name string, err error) {
	// Who connects knows the protocol: a TCP proxy, a UDP proxy.
	if err := field.Only(p, a, "address", "port_value", "protocol", "ipv4_compat"); err != nil {
		return addr, "", err
	}
	if a.GetPortValue() > 65535 {
		return addr, "", p.Dot("port_value").Errorf("%d is not a port", a.GetPortValue())
	}
	ip, err := netip.ParseAddr(a.GetAddress())
	if err != nil {
		if !names {
			return addr, "", p.Dot("address").Errorf("malformed IP address: %s (names need a cluster of type STRICT_DNS)", a.GetAddress())
		}
		if a.GetAddress() == "" {
			return addr, "", p.Dot("address").Errorf("missing")
		}
		name = a.GetAddress()
	}
	return network.IPAddress(netip.AddrPortFrom(ip.Unmap(), uint16(a.GetPortValue()))), name, nil
}
