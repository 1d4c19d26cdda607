package pool

import (
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// spareIdle is how long a connection waits for a user (Envoy's default of
// TcpProtocolOptions.idle_timeout).
const spareIdle = 10 * time.Minute

type tcpKey struct {
	host *cluster.Host
	prio cluster.Priority
	key  uint32
	asks *cluster.TransportOptions
}

// tcpPool is the TCP connections that can stand in for one another, where some
// are made ahead of their users.
type tcpPool struct {
	key             tcpKey
	spares          []*tcpConn // longest there first
	pending, active int
}

// tcpPool is the pool with the key, nil when the cluster doesn't preconnect.
func (o *Owner) tcpPool(k tcpKey) *tcpPool {
	if o.closed || o.Info.Preconnect.PerUpstream <= 1 && o.Info.Preconnect.Predictive <= 1 {
		return nil
	}
	p := o.tcpPools[k]
	if p == nil {
		p = &tcpPool{key: k}
		if o.tcpPools == nil {
			o.tcpPools = map[tcpKey]*tcpPool{}
		}
		o.tcpPools[k] = p
	}
	return p
}

func (p *tcpPool) load() Load {
	return Load{Pending: p.pending, Active: p.active, Capacity: len(p.spares) + p.pending} // who waits has a connection
}

// spare takes the connection that was made first, nil when there is none.
func (p *tcpPool) spare() *tcpConn {
	if len(p.spares) == 0 {
		return nil
	}
	c := p.spares[0]
	p.spares = slices.Delete(p.spares, 0, 1)
	return c
}

// preconnect makes the connections that the host's pool is short of.
func (p *tcpPool) preconnect(o *Owner, k tcpKey) {
	ratio := o.Info.Preconnect.PerUpstream
	if ratio <= 1 || k.host.Usability() != cluster.Healthy {
		return
	}
	for range atOnce {
		if !p.load().Short(ratio, 0) || !p.add(o, k) {
			return
		}
	}
}

// add makes a connection for somebody to come.
func (p *tcpPool) add(o *Owner, k tcpKey) bool {
	c := newTCP(o, k)
	if !c.mayConnect(false) || c.start(k.key) != nil {
		return false
	}
	p.spares = append(p.spares, c)
	return true
}

// left takes a connection that has closed out of the count.
func (p *tcpPool) left(c *tcpConn) {
	if c.active {
		p.active--
	} else if i := slices.Index(p.spares, c); i >= 0 {
		p.spares = slices.Delete(p.spares, i, i+1)
	}
	if len(p.spares)+p.pending+p.active == 0 {
		delete(c.o.tcpPools, p.key)
	}
}

// lend gives a spare connection a user.
func (c *tcpConn) lend(cb TCPCallbacks) {
	if !c.up {
		c.wait(cb)
		return
	}
	c.cb = cb
	c.activate()
	c.o.Loop.Post(func() {
		if c.cb != nil { // neither cancelled nor closed meanwhile
			c.conn.ReadDisable(false)
			c.answered().OnPoolReady(c.conn, c.host)
		}
	})
}

// keep has a connection that stands wait for a user: what its peer says
// meanwhile stays in the kernel.
func (c *tcpConn) keep() {
	c.conn.ReadDisable(true)
	c.timer.Enable(spareIdle)
}

// PreconnectTCP makes a connection for a user to come, unless ratio times
// those that there are, and that one, have one already.
func PreconnectTCP(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32, asks *cluster.TransportOptions, ratio float64) (made bool) {
	k := tcpKey{h, prio, key, asks}
	p := o.tcpPool(k)
	return p != nil && h.Usability() == cluster.Healthy && p.load().Short(ratio, 1) && p.add(o, k)
}

// TCPLoad is what all TCP connections of the cluster have to carry.
func (o *Owner) TCPLoad() (l Load) {
	for _, p := range o.tcpPools {
		of := p.load()
		l.Pending, l.Active, l.Capacity = l.Pending+of.Pending, l.Active+of.Active, l.Capacity+of.Capacity
	}
	return l
}

// CloseSpares closes the TCP connections that nobody uses yet to
// some hosts, or of some keys of the Dialer.
func (o *Owner) CloseSpares(of func(*cluster.Host, uint32) bool) {
	for k, p := range o.tcpPools {
		if of(k.host, k.key) {
			for len(p.spares) > 0 {
				p.spare().hangUp(network.NoFlush)
			}
		}
	}
}
