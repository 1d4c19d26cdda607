package upstream

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

// dnsDiscovery resolves each of the cluster's names again and again. All
// addresses found are hosts; or there is one logical host, whose address is
// the one found last.
type dnsDiscovery struct {
	c       *master
	cfg     *dnsConfig
	ctx     context.Context
	cancel  context.CancelFunc
	targets []*target
}

// target is one endpoint whose address is a name.
type target struct {
	d         *dnsDiscovery
	group     int
	endpoint  *endpoint
	addresses []netip.Addr
	timer     *event.Timer
	failures  int
}

func newDNSDiscovery(c *master) *dnsDiscovery {
	d := &dnsDiscovery{c: c, cfg: c.cfg.dns}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	for g := range c.cfg.assignment.groups {
		for e := range c.cfg.assignment.groups[g].endpoints {
			t := &target{d: d, group: g, endpoint: &c.cfg.assignment.groups[g].endpoints[e]}
			t.timer = c.m.o.Main.NewTimer(t.resolve)
			d.targets = append(d.targets, t)
		}
	}
	return d
}

func (d *dnsDiscovery) start() error {
	for _, t := range d.targets {
		t.resolve()
	}
	if len(d.targets) == 0 || !d.c.cfg.waitForWarm {
		d.c.ready()
	}
	return nil
}

func (d *dnsDiscovery) stop() {
	d.cancel()
	for _, t := range d.targets {
		t.timer.Release()
	}
}

func (t *target) resolve() {
	d := t.d
	d.c.stats.UpdateAttempt.Inc()
	name := t.endpoint.name
	if name == "" {
		name = t.endpoint.addr.Addr().String()
	}
	main := d.c.m.o.Main
	d.c.m.o.Resolver.Lookup(d.ctx, d.c.m.resolvingOf(d.cfg), name, d.cfg.family, func(a dns.Answer) {
		main.Post(func() {
			if d.ctx.Err() == nil {
				t.resolved(a)
			}
		})
	})
}

// errNoAddress is why a logical host stays where it is.
var errNoAddress = errors.New("the name has no address")

// resolved takes an answer. What was known stays when there is none.
func (t *target) resolved(a dns.Answer) {
	d := t.d
	if a.Err == nil && d.cfg.logical && len(a.Addrs) == 0 {
		a.Err = errNoAddress
	}
	if a.Err != nil {
		d.c.stats.UpdateFailure.Inc()
		d.c.m.log.Warn("DNS lookup failed", "cluster", d.c.cfg.info.Name, "error", a.Err)
		t.timer.Enable(t.backOff())
		d.c.ready()
		return
	}
	t.failures = 0
	d.c.stats.UpdateSuccess.Inc()
	if d.cfg.logical {
		t.move(a.Addrs)
	} else {
		t.set(a.Addrs)
	}
	next := d.cfg.refresh
	if d.cfg.respectTTL && a.TTL > 0 {
		next = max(a.TTL, d.cfg.minRefresh)
	}
	if d.cfg.jitter > 0 {
		next += rand.N(d.cfg.jitter)
	}
	t.timer.Enable(next)
	d.c.ready()
}

// set makes the addresses hosts.
func (t *target) set(addrs []netip.Addr) {
	// Name servers rotate their answers; order means nothing. IPv6 is first.
	slices.SortFunc(addrs, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(b.BitLen(), a.BitLen()), a.Compare(b))
	})
	if slices.Equal(t.addresses, addrs) {
		s := t.d.c.stats
		s.UpdateNoRebuild.Inc()
		s.MaxHostWeight.Set(max(s.MaxHostWeight.Value(), 1))
		return
	}
	t.addresses = addrs
	t.d.c.apply(t.d.assignment())
}

// move makes the addresses those of the logical host, all of which connections
// try. Another host takes the place of one that had others.
func (t *target) move(addrs []netip.Addr) {
	slices.SortFunc(addrs[1:], netip.Addr.Compare) // only which is first matters
	if slices.Equal(t.addresses, addrs) {
		t.d.c.stats.UpdateNoRebuild.Inc()
		return
	}
	t.addresses = addrs
	t.d.c.apply(t.d.assignment())
}

// backOff is the time to the next try: it doubles from failBase to failMax,
// and is a random part of that, where the two differ.
func (t *target) backOff() time.Duration {
	base, most := t.d.cfg.failBase, t.d.cfg.failMax
	if base == most {
		return base
	}
	limit := base
	for range t.failures {
		if limit = 2 * limit; limit >= most {
			limit = most
			break
		}
	}
	t.failures++
	return rand.N(limit) + time.Millisecond
}

// assignment is the configured one with names replaced by their addresses.
func (d *dnsDiscovery) assignment() *assignment {
	from := d.c.cfg.assignment
	out := &assignment{groups: slices.Clone(from.groups), overprovisioning: from.overprovisioning, weightedHealth: from.weightedHealth, drop: from.drop, category: from.category}
	for i := range out.groups {
		out.groups[i].endpoints = nil
	}
	for _, t := range d.targets {
		g := &out.groups[t.group]
		at := make([]network.Address, len(t.addresses))
		for i, ip := range t.addresses {
			at[i] = network.IPAddress(netip.AddrPortFrom(ip, t.endpoint.addr.Port()))
		}
		e := *t.endpoint
		if e.hostname == "" {
			e.hostname = e.name
		}
		if d.cfg.logical && len(at) > 0 {
			e.addr, e.more = at[0], at[1:]
			g.endpoints = append(g.endpoints, e)
			continue
		}
		for _, e.addr = range at {
			g.endpoints = append(g.endpoints, e)
		}
	}
	return out
}
