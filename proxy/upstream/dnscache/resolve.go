package dnscache

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/dns"
)

// begin starts to resolve a new entry, on main.
func (c *Cache) begin(e *Entry) {
	if c.ctx.Err() != nil {
		return
	}
	s := c.group.For(0)
	s.HostAdded.Inc()
	s.NumHosts.Inc()
	e.timer = c.main.NewTimer(func() { c.refresh(e) })
	c.resolve(e)
}

// refresh resolves an entry again, or drops it when nobody uses it any more.
func (c *Cache) refresh(e *Entry) {
	if cluster.Now()-time.Duration(e.used.Load()) < c.cfg.HostTTL {
		c.resolve(e)
		return
	}
	c.mu.Lock()
	delete(c.entries, e.Key)
	c.mu.Unlock()
	e.gone.Store(true)
	e.timer.Release()
	s := c.group.For(0)
	s.HostRemoved.Inc()
	s.NumHosts.Dec()
	for w := range c.watchers {
		w.OnRemoved(e)
	}
}

func (c *Cache) resolve(e *Entry) {
	c.group.For(0).QueryAttempt.Inc()
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.QueryTimeout)
	answered := false
	answer := func(a dns.Answer) {
		if !answered {
			answered = true
			cancel()
			if c.ctx.Err() == nil {
				c.answered(e, a)
			}
		}
	}
	c.resolver.Lookup(ctx, &c.cfg.Resolver, e.Host, c.cfg.Family, func(a dns.Answer) { c.main.Post(func() { answer(a) }) })
	context.AfterFunc(ctx, func() {
		c.main.Post(func() {
			if !answered && c.ctx.Err() == nil {
				c.group.For(0).QueryTimeout.Inc()
				answer(dns.Answer{Err: context.DeadlineExceeded})
			}
		})
	})
}

// answered takes an answer. What was known stays when there is none.
func (c *Cache) answered(e *Entry, a dns.Answer) {
	s := c.group.For(0)
	next := c.cfg.Refresh
	switch {
	case a.Err != nil:
		s.QueryFailure.Inc()
		why := a.Err.Error()
		e.failure.Store(&why)
		next = c.backOff(e)
	case len(a.Addrs) == 0:
		s.QuerySuccess.Inc()
		why := "no records"
		e.failure.Store(&why)
		next = c.backOff(e)
	default:
		s.QuerySuccess.Inc()
		e.failures = 0
		if a.TTL > 0 {
			next = max(a.TTL, c.cfg.MinRefresh)
		}
		if to := e.addresses(a.Addrs); e.moves(to) {
			s.AddressChanged.Inc()
			e.addrs.Store(&to)
			for w := range c.watchers {
				w.OnAddress(e)
			}
		}
	}
	e.timer.Enable(next)
	c.mu.Lock()
	e.resolved.Store(true)
	waiting := e.waiting
	e.waiting = nil
	c.mu.Unlock()
	c.pending.Add(-int32(len(waiting)))
	for _, w := range waiting {
		w.loop.Post(func() {
			if !w.over {
				w.over = true
				w.done(e)
			}
		})
	}
}

// backOff is the time to the next try: below a bound that doubles from
// FailBase to FailMax.
func (c *Cache) backOff(e *Entry) time.Duration {
	if c.cfg.FailBase == c.cfg.FailMax {
		return c.cfg.FailBase
	}
	bound := c.cfg.FailBase
	for range e.failures {
		if bound = min(2*bound, c.cfg.FailMax); bound == c.cfg.FailMax {
			break
		}
	}
	e.failures++
	return rand.N(bound) + time.Millisecond
}

func (e *Entry) addresses(ips []netip.Addr) []network.Address {
	to := make([]network.Address, len(ips))
	for i, ip := range ips {
		to[i] = network.IPAddress(netip.AddrPortFrom(ip, e.Port))
	}
	return to
}

// moves tells whether these are not the addresses that the name has: another
// comes first, or there are others behind it, in any order.
func (e *Entry) moves(to []network.Address) bool {
	old := e.Addresses()
	return len(old) != len(to) || old[0] != to[0] ||
		slices.ContainsFunc(to, func(a network.Address) bool { return !slices.Contains(old, a) })
}
