package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/agent/netns"
	"github.com/weirproxy/weir/agent/pods"
	"github.com/weirproxy/weir/agent/redirect"
	"github.com/weirproxy/weir/internal/cgroup2"
)

// The mark of caught connections and the route for it. They are seen only in
// the pods' namespaces: "weir" in hexadecimal, where others do not look.
const (
	routeMark     = 0x77656972
	routeTable    = 0x7765
	routePriority = 100
)

// addressInterval is how often the pods' interfaces and routes are looked at.
const addressInterval = 10 * time.Second

// pod is a managed pod and what the agent holds for it.
type pod struct {
	id   uint32
	spec pods.Spec
	// everywhere is what all pods of the node exclude.
	everywhere pods.Exclusions
	ns         *netns.NS
	cookie     uint64
	addresses  []netip.Addr
	looked     time.Time // when its interfaces' addresses were read
	listeners  []*listener
	announced  bool   // to the proxies
	changed    bool   // since then
	missing    string // why listeners could not be made again

	dns        bool         // its DNS is caught
	dnsWas     redirect.DNS // by the last agent
	dnsSlot    uint32
	dnsServers int // the table's descriptor; redirect's
}

// openPod finds the pod's namespace and addresses.
func openPod(spec pods.Spec, everywhere pods.Exclusions) (*pod, error) {
	path, err := spec.NetnsPath()
	if err != nil {
		return nil, err
	}
	ns, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	p := &pod{spec: spec, everywhere: everywhere, ns: ns}
	if p.cookie, err = redirect.NetnsCookie(ns); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	if p.addresses, err = p.findAddresses(); err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return p, nil
}

func (p *pod) findAddresses() ([]netip.Addr, error) {
	p.looked = time.Now()
	if len(p.spec.Addresses) > 0 {
		return p.spec.Addresses, nil
	}
	addrs, err := p.ns.Addresses()
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("%s has no address yet", p.ns.Path())
	}
	return addrs, err
}

// isCurrent reports whether the pod is still where and what it was. Its
// further addresses may have changed; that is told to the kernel.
func (a *Agent) isCurrent(p *pod) bool {
	if !p.ns.IsAt(p.ns.Path()) {
		path, err := p.spec.NetnsPath() // another process of the cgroup
		if err != nil || !p.ns.IsAt(path) {
			return false
		}
		p.ns.MovedTo(path)
	}
	if time.Since(p.looked) < addressInterval {
		return true
	}
	// Another program may have flushed the rules or routes of the namespace.
	if errors.Join(p.ns.InstallMarkRoute(p.route()), p.installDNSRoute()) != nil {
		return false
	}
	now, err := p.findAddresses()
	if errors.Is(err, netns.ErrTentative) {
		return true // looked at again
	}
	if err != nil {
		return false
	}
	if slices.Equal(now, p.addresses) {
		return true
	}
	ip4, ip6 := p.ip4(), p.ip6()
	p.addresses = now
	if p.ip4() != ip4 || p.ip6() != ip6 {
		return false // its listeners and routes have them
	}
	p.changed = true // the proxies go by its addresses, too
	entry, err := p.entry()
	return err == nil && a.redirect.PutPod(entry) == nil
}

func (p *pod) ip4() netip.Addr { return first(p.addresses, netip.Addr.Is4) }
func (p *pod) ip6() netip.Addr { return first(p.addresses, netip.Addr.Is6) }

func first(addrs []netip.Addr, is func(netip.Addr) bool) netip.Addr {
	if i := slices.IndexFunc(addrs, is); i >= 0 {
		return addrs[i]
	}
	return netip.Addr{}
}

// catch makes the pod's connections caught: its listeners first, then the way
// to them, then the switch.
func (a *Agent) catch(p *pod) error {
	if err := a.makeListeners(p, false); err != nil {
		return err
	}
	if err := p.ns.InstallMarkRoute(p.route()); err != nil {
		return err
	}
	if err := p.installDNSRoute(); err != nil {
		return err
	}
	if p.spec.KeepClientAddress {
		if err := p.ns.AcceptMarks(true); err != nil {
			return err
		}
	}
	if err := a.redirect.AttachNetns(redirect.Namespace{
		PodID: p.id, Cookie: p.cookie, FD: p.ns.FD(), Inode: p.ns.Inode(), KeepsClient: p.spec.KeepClientAddress,
	}); err != nil {
		return err
	}
	entry, err := p.entry()
	if err != nil {
		return err
	}
	if err := a.redirect.PutPod(entry); err != nil {
		return err
	}
	if err := a.findDNSSlot(p); err != nil {
		return err
	}
	if p.spec.Cgroup != "" {
		return a.redirect.CheckEffective(p.spec.Cgroup)
	}
	return nil
}

// letGo undoes catch, the switch first, as far as it came.
func (a *Agent) letGo(p *pod) error {
	errs := []error{a.redirect.RemovePod(p.id, p.cookie)}
	if p.announced {
		a.server.Remove(p.id)
	}
	errs = append(errs, a.redirect.DetachNetns(p.id))
	_, err := p.ns.RemoveMarkRoute(p.route())
	errs = append(errs, err)
	_, err = p.ns.RemoveLocalRoute(redirect.DNSAliases6)
	errs = append(errs, err)
	if p.spec.KeepClientAddress {
		errs = append(errs, p.ns.AcceptMarks(false))
	}
	p.close()
	return errors.Join(errs...)
}

// close closes the agent's descriptors and nothing more.
func (p *pod) close() {
	for _, l := range p.listeners {
		if l.fd >= 0 {
			unix.Close(l.fd)
		}
	}
	p.listeners = nil
	p.ns.Close()
}

func (p *pod) route() netns.MarkRoute {
	r := netns.MarkRoute{Mark: routeMark, Table: routeTable, Priority: routePriority}
	if p.spec.Mode == pods.Mark || p.spec.KeepClientAddress {
		for _, ip := range []netip.Addr{p.ip4(), p.ip6()} {
			if ip.IsValid() {
				r.Sources = append(r.Sources, ip)
			}
		}
	}
	return r
}

func (p *pod) entry() (redirect.Pod, error) {
	excluded := p.spec.Exclusions.With(p.everywhere)
	e := redirect.Pod{
		ID: p.id, Cookie: p.cookie, Name: p.spec.Key(), Own: p.addresses,
		Outbound4: p.outbound(p.ip4(), handoff.IPv4), Outbound6: p.outbound(p.ip6(), handoff.IPv6),
		Rewrite: p.spec.Mode == pods.Rewrite, Mark: routeMark,
		Inbound: *p.spec.Inbound, ExcludeInbound: p.spec.ExcludeInboundPorts,
		ExcludeCIDRs: excluded.CIDRs, ExcludePorts: excluded.Ports, ExcludeUIDs: excluded.UIDs,
		FailOpen: p.spec.Policy == pods.Open, External: p.spec.External(), DNS: p.dnsPorts(),
	}
	if p.spec.External() {
		id, err := cgroup2.ID(p.spec.ProxyCgroup)
		if err != nil {
			return e, fmt.Errorf("proxy_cgroup: %w", err)
		}
		e.ProxyCgroup = id
	}
	return e, nil
}

// outbound is where the pod's rewritten connections of that family go.
func (p *pod) outbound(ip netip.Addr, f handoff.Family) netip.AddrPort {
	if !ip.IsValid() {
		return netip.AddrPort{}
	}
	for _, l := range p.listeners {
		if l.direction == handoff.Outbound && l.family == f {
			return netip.AddrPortFrom(ip, l.port)
		}
	}
	return netip.AddrPortFrom(ip, p.spec.OutboundPort) // a proxy in the pod listens there
}
