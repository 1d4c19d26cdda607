package agent

import (
	"net/netip"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
)

// wantsDNS reports whether the pod's DNS is to be caught.
func (a *Agent) wantsDNS(spec *pods.Spec) bool {
	if spec.External() {
		return false
	}
	if spec.DNS != nil {
		return *spec.DNS
	}
	return a.opts.DNS
}

// planDNS is the socket that takes what the pod asks of servers of ip's family.
func (p *pod) planDNS(ip netip.Addr) *listener {
	l := &listener{direction: handoff.DNS, family: handoff.IPv4, originalDst: handoff.Alias, kind: redirect.DNS4, bind: ip, port: p.dnsWas.Port4}
	if ip.Is6() {
		l.family, l.kind, l.port = handoff.IPv6, redirect.DNS6, p.dnsWas.Port6
	}
	if l.port == 0 {
		l.port = pods.DefaultDNSPort
	}
	return l
}

// dnsPorts are where the pod's questions go.
func (p *pod) dnsPorts() (d redirect.DNS) {
	for _, l := range p.listeners {
		switch l.kind {
		case redirect.DNS4:
			d.Port4 = l.port
		case redirect.DNS6:
			d.Port6 = l.port
		}
	}
	return d
}

// installDNSRoute makes the aliases of servers local to the pod.
func (p *pod) installDNSRoute() error {
	if !p.dns || !p.ip6().IsValid() {
		return nil
	}
	return p.ns.InstallLocalRoute(netns.LocalRoute{Prefix: redirect.DNSAliases6, Source: p.ip6()})
}

// findDNSSlot learns what the proxies must know to tell whom the pod asks.
func (a *Agent) findDNSSlot(p *pod) (err error) {
	if !p.dns {
		return nil
	}
	p.dnsServers = a.redirect.DNSServersFD()
	p.dnsSlot, _, _, err = a.redirect.DNSOf(p.cookie)
	return err
}
