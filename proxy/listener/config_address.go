package listener

import (
	"net/netip"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
)

// addresses fills in what is to be bound.
func (c *compiler) addresses() error {
	if c.inPlace {
		c.out.bind = c.old.bind
		return nil
	}
	p, l := c.proto, c.out
	if l.internal {
		if p.GetAddress() != nil || len(p.GetAdditionalAddresses()) > 0 {
			return c.path.Dot("address").Errorf("an internal listener has none")
		}
		return nil
	}
	if p.GetAddress() == nil {
		return c.path.Dot("address").Errorf("listener %q has no address", p.GetName())
	}
	l.bind = true
	if v := p.GetBindToPort(); v != nil {
		l.bind = v.GetValue()
		//lint:ignore SA1019 control planes still send it
	} else if v := p.GetDeprecatedV1().GetBindToPort(); v != nil {
		l.bind = v.GetValue()
	}
	if err := c.address(c.path.Dot("address"), p.GetAddress(), c.path.Dot("socket_options"), p.GetSocketOptions(), p.GetTcpKeepalive()); err != nil {
		return err
	}
	for i, a := range p.GetAdditionalAddresses() {
		path := c.path.Dot("additional_addresses").Index(i)
		if err := field.Only(path, a, "address", "socket_options", "tcp_keepalive"); err != nil {
			return err
		}
		options, keepalive := p.GetSocketOptions(), p.GetTcpKeepalive()
		if o := a.GetSocketOptions(); o != nil {
			options = o.GetSocketOptions()
		}
		if k := a.GetTcpKeepalive(); k != nil {
			keepalive = k
		}
		if err := c.address(path.Dot("address"), a.GetAddress(), path.Dot("socket_options"), options, keepalive); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) address(path field.Path, a *corev3.Address, optPath field.Path, options []*corev3.SocketOption, keepalive *corev3.TcpKeepalive) error {
	p := c.proto
	addr, ipv4Compat, err := compileAddress(path, a)
	if err != nil {
		return err
	}
	b := &bound{asked: addr, addr: addr, reusePort: true, udp: isUDP(a)}
	if b.udp != isUDP(p.GetAddress()) {
		return path.Errorf("all addresses of a listener are TCP ones, or all are UDP ones")
	}
	if v := p.GetEnableReusePort(); v != nil {
		b.reusePort = v.GetValue()
	}
	if addr.IsPipe() {
		b.reusePort = false
	}
	b.options = network.ListenOptions{
		ReusePort: b.reusePort, Transparent: p.GetTransparent().GetValue(), FreeBind: p.GetFreebind().GetValue(),
		V6Only: !ipv4Compat, Backlog: int(p.GetTcpBacklogSize().GetValue()), MPTCP: p.GetEnableMptcp(),
	}
	if p.GetEnableMptcp() && (addr.IsPipe() || b.udp) {
		return c.path.Dot("enable_mptcp").Errorf("is for TCP addresses, not %v", addr)
	}
	if b.options.Options, err = compileSocketOptions(optPath, addr, options, b.udp); err != nil {
		return err
	}
	if b.udp {
		c.out.bindings = append(c.out.bindings, b)
		return nil
	}
	if v := p.GetTcpFastOpenQueueLength(); v != nil {
		b.options.Options = append(b.options.Options, fastOpen(int(v.GetValue())))
	}
	b.options.Options = append(b.options.Options, keepaliveOptions(keepalive)...)
	c.out.bindings = append(c.out.bindings, b)
	return nil
}

func compileAddress(path field.Path, a *corev3.Address) (addr network.Address, ipv4Compat bool, err error) {
	if err := field.Only(path, a, "socket_address", "pipe"); err != nil {
		return addr, false, err
	}
	if pipe := a.GetPipe(); pipe != nil {
		return network.Address{Path: pipe.GetPath(), Mode: pipe.GetMode()}, false, nil
	}
	s, path := a.GetSocketAddress(), path.Dot("socket_address")
	if err := field.Only(path, s, "protocol", "address", "port_value", "ipv4_compat"); err != nil {
		return addr, false, err
	}
	ip, err := netip.ParseAddr(s.GetAddress())
	if err != nil || ip.Zone() != "" {
		return addr, false, path.Dot("address").Errorf("%q is not an IP address (names are not resolved for listeners)", s.GetAddress())
	}
	if s.GetPortValue() > 65535 {
		return addr, false, path.Dot("port_value").Errorf("%d is not a port", s.GetPortValue())
	}
	return network.IPAddress(netip.AddrPortFrom(ip, uint16(s.GetPortValue()))), s.GetIpv4Compat(), nil
}

func compileSocketOptions(path field.Path, addr network.Address, options []*corev3.SocketOption, udp bool) ([]network.SocketOption, error) {
	var out []network.SocketOption
	for i, o := range options {
		path := path.Index(i)
		if err := field.Only(path, o, "description", "level", "name", "int_value", "buf_value", "state", "type", "ip_version"); err != nil {
			return nil, err
		}
		if t := o.GetType(); t != nil && (!udp && t.GetStream() == nil || udp && t.GetDatagram() == nil) || !sameFamily(o.GetIpVersion(), addr) {
			continue // for other sockets than this one
		}
		if s := o.GetState(); s < corev3.SocketOption_STATE_PREBIND || s > corev3.SocketOption_STATE_LISTENING {
			return nil, path.Dot("state").Errorf("unknown value %d", s)
		}
		so := network.SocketOption{Level: int(o.GetLevel()), Name: int(o.GetName()), Int: int(o.GetIntValue()), State: network.SocketState(o.GetState()), Description: o.GetDescription()}
		if b, ok := o.GetValue().(*corev3.SocketOption_BufValue); ok {
			so.Bytes = append([]byte{}, b.BufValue...)
		}
		out = append(out, so)
	}
	return out, nil
}

func sameFamily(v corev3.SocketOption_SocketIpVersion, addr network.Address) bool {
	switch v {
	case corev3.SocketOption_SOCKET_IP_VERSION_IPV4:
		return addr.Addr().Is4()
	case corev3.SocketOption_SOCKET_IP_VERSION_IPV6:
		return addr.Addr().Is6()
	}
	return true
}

func fastOpen(queue int) network.SocketOption {
	return network.SocketOption{Level: unix.IPPROTO_TCP, Name: unix.TCP_FASTOPEN, Int: queue, State: network.Listening, Description: "tcp_fast_open_queue_length"}
}

// keepaliveOptions set on the listening socket what accepted ones inherit.
func keepaliveOptions(k *corev3.TcpKeepalive) []network.SocketOption {
	if k == nil {
		return nil
	}
	out := []network.SocketOption{{Level: unix.SOL_SOCKET, Name: unix.SO_KEEPALIVE, Int: 1, Description: "tcp_keepalive"}}
	for _, o := range []struct {
		set         bool
		name, value int
	}{
		{k.GetKeepaliveProbes() != nil, unix.TCP_KEEPCNT, int(k.GetKeepaliveProbes().GetValue())},
		{k.GetKeepaliveTime() != nil, unix.TCP_KEEPIDLE, int(k.GetKeepaliveTime().GetValue())},
		{k.GetKeepaliveInterval() != nil, unix.TCP_KEEPINTVL, int(k.GetKeepaliveInterval().GetValue())},
	} {
		if o.set {
			out = append(out, network.SocketOption{Level: unix.IPPROTO_TCP, Name: o.name, Int: o.value, Description: "tcp_keepalive"})
		}
	}
	return out
}
