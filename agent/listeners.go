package agent

import (
	"errors"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
)

// listener is a listening socket in a pod, or one that takes its DNS. While fd
// is -1 only a proxy that outlived the last agent has it, and is expected to
// return it.
type listener struct {
	direction   handoff.Direction
	family      handoff.Family
	originalDst handoff.OriginalDst
	kind        redirect.Kind
	bind        netip.Addr
	port        uint16
	fd          int
}

// plan is the listeners that the pod needs.
func (p *pod) plan() []*listener {
	if p.spec.External() {
		return nil
	}
	var plan []*listener
	for _, ip := range []netip.Addr{p.ip4(), p.ip6()} {
		if !ip.IsValid() {
			continue
		}
		out := &listener{direction: handoff.Outbound, family: handoff.IPv4, kind: redirect.Outbound4, port: p.spec.OutboundPort}
		in := &listener{direction: handoff.Inbound, family: handoff.IPv4, kind: redirect.Inbound4, port: pods.DefaultInboundPort}
		if ip.Is6() {
			out.family, out.kind = handoff.IPv6, redirect.Outbound6
			in.family, in.kind = handoff.IPv6, redirect.Inbound6
		}
		out.originalDst, out.bind = handoff.Transparent, ip
		if p.spec.Mode == pods.Rewrite {
			out.originalDst = handoff.Sockopt
		}
		in.originalDst, in.bind = handoff.Transparent, ip
		plan = append(plan, out)
		if *p.spec.Inbound {
			plan = append(plan, in)
		}
		if p.dns {
			plan = append(plan, p.planDNS(ip))
		}
	}
	return plan
}

// makeListeners makes the listeners that the agent does not have. Those that
// a proxy kept alive are left to come back, unless they are overdue.
func (a *Agent) makeListeners(p *pod, overdue bool) error {
	if p.listeners == nil {
		for _, l := range p.plan() {
			l.fd = -1
			p.listeners = append(p.listeners, l)
		}
	}
	for _, l := range p.listeners {
		if l.fd >= 0 {
			continue
		}
		_, alive, err := a.redirect.Listener(p.id, l.kind)
		if err != nil {
			return err
		}
		if alive && !overdue {
			continue
		}
		if err := a.makeListener(p, l); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) makeListener(p *pod, l *listener) error {
	o := netns.ListenOptions{
		Addr:        netip.AddrPortFrom(l.bind, l.port),
		Transparent: l.originalDst == handoff.Transparent,
	}
	listen := func() (int, error) { return p.ns.Listen(o) }
	if l.direction == handoff.DNS {
		listen = func() (int, error) { return p.ns.ListenDNS(l.bind.Is6(), o.Addr.Port()) }
	}
	fd, err := listen()
	if errors.Is(err, unix.EADDRINUSE) {
		// The app has that port. It is only a name: any other will do.
		o.Addr = netip.AddrPortFrom(l.bind, 0)
		fd, err = listen()
	}
	if err != nil {
		return err
	}
	if err := a.redirect.SetListener(p.id, l.kind, fd); err != nil {
		unix.Close(fd)
		return err
	}
	if err := l.take(fd); err != nil {
		unix.Close(fd)
		return err
	}
	return nil
}

// take makes fd the listener's socket, whatever port it has. It stays the
// caller's if that fails.
func (l *listener) take(fd int) error {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	switch sa := name.(type) {
	case *unix.SockaddrInet4:
		l.port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		l.port = uint16(sa.Port)
	}
	l.fd = fd
	return nil
}

// isComplete reports whether the agent has all of the pod's listeners.
func (p *pod) isComplete() bool {
	for _, l := range p.listeners {
		if l.fd < 0 {
			return false
		}
	}
	return true
}

// forProxy is the pod as the proxies are told of it.
func (p *pod) forProxy() handoff.Pod {
	out := handoff.Pod{
		ID: p.id, Name: p.spec.Name, Namespace: p.spec.Namespace, Addresses: p.addresses,
		KeepClientAddress: p.spec.KeepClientAddress,
		ServiceAccount:    p.spec.Identity.ServiceAccount, Labels: p.spec.Identity.Labels,
	}
	for _, l := range p.listeners {
		out.Listeners = append(out.Listeners, handoff.Listener{
			Direction: l.direction, Family: l.family, OriginalDst: l.originalDst, FD: l.fd,
		})
	}
	if p.dns {
		out.DNSSlot, out.DNSServers = p.dnsSlot, p.dnsServers
	}
	return out
}
