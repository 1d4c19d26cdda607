package handoff

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// A pool keeps about a batch of sockets at hand. A pod that connects rarely
// costs few; each time that a pool runs dry its batch doubles.
const (
	firstBatch = 2
	// upstreamTimeout bounds UpstreamSockets. It is long, as who connects has a
	// timeout of its own and an agent may be slow to start.
	upstreamTimeout = 30 * time.Second
)

type poolKey struct {
	pod      uint32
	family   Family
	protocol Protocol
}

// pool is the one that a message is about.
func (m *message) pool() poolKey { return poolKey{m.ID, m.Family, m.Protocol} }

// pool is guarded by Client.mu.
type pool struct {
	fds     []int
	batch   int
	pending int           // asked for, or about to be, and not yet here
	refused string        // why the agent gave none, the last time that it did not
	seq     uint32        // of the question that it refused
	changed chan struct{} // closed at every change
}

func newPool() *pool { return &pool{batch: firstBatch, changed: make(chan struct{})} }

func (p *pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pool) grow() { p.batch = min(2*p.batch, maxFDs) }

// ErrUnknownPod says that the agent has not announced such a pod, or that the
// pod has no address of that family.
var ErrUnknownPod = errors.New("no such pod, or it has no address of that family")

// TakeUpstream returns a TCP socket that is at hand, without waiting; ok is
// false when there is none. It is the caller's. The protocol is TCP or
// TransparentTCP.
func (c *Client) TakeUpstream(podID uint32, f Family, p Protocol) (fd int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.takeNow(poolKey{podID, f, p})
}

func (c *Client) takeNow(key poolKey) (fd int, ok bool) {
	p := c.pools[key]
	if p == nil {
		return -1, false
	}
	if n := len(p.fds); n > 0 {
		fd, ok = p.fds[n-1], true
		p.fds = p.fds[:n-1]
	} else {
		p.grow()
	}
	c.refill(key)
	return fd, ok
}

// UpstreamSockets returns n unconnected, non-blocking TCP sockets that are in
// the pod's network namespace and whose connects are never caught. It waits
// for the agent when too few are at hand. They are the caller's.
func (c *Client) UpstreamSockets(podID uint32, f Family, n int) ([]int, error) {
	return c.sockets(poolKey{podID, f, TCP}, n)
}

// TransparentSocket is the same for one of TransparentTCP.
func (c *Client) TransparentSocket(podID uint32, f Family) (int, error) {
	fds, err := c.sockets(poolKey{podID, f, TransparentTCP}, 1)
	if errors.Is(err, ErrUnknownPod) {
		return -1, fmt.Errorf("%w, or it does not keep its clients' addresses (keep_client_address)", err)
	}
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// UDPSocket is the same for one UDP socket. Of pods whose DNS is caught only.
func (c *Client) UDPSocket(podID uint32, f Family) (int, error) {
	fds, err := c.sockets(poolKey{podID, f, UDP}, 1)
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// ReturnUDP takes back a socket that [Client.UDPSocket] returned, not bound or
// connected any more: while there is no agent it is all that there is.
func (c *Client) ReturnUDP(podID uint32, f Family, fd int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[poolKey{podID, f, UDP}]
	if p == nil || len(p.fds) >= maxFDs {
		unix.Close(fd)
		return
	}
	p.fds = append(p.fds, fd)
	p.wake()
}

func (c *Client) sockets(key poolKey, n int) ([]int, error) {
	timeout := time.After(upstreamTimeout)
	asked := c.lastSeq()
	for {
		fds, changed, err := c.take(key, n, asked)
		if fds != nil || err != nil {
			return fds, err
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, fmt.Errorf("upstream sockets of pod %d: the agent gave none in %s", key.pod, upstreamTimeout)
		}
	}
}

// take returns n sockets, or a channel that is closed when it is worth trying
// again. A refusal counts if it answers a later question than asked.
func (c *Client) take(key poolKey, n int, asked uint32) ([]int, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[key]
	if p == nil || c.done {
		return nil, nil, fmt.Errorf("upstream sockets of pod %d, IPv%d: %w", key.pod, key.family, ErrUnknownPod)
	}
	if p.refused != "" && p.seq > asked {
		return nil, nil, fmt.Errorf("upstream sockets of pod %d: the agent: %s", key.pod, p.refused)
	}
	if have := len(p.fds); have >= n {
		fds := append([]int(nil), p.fds[have-n:]...)
		p.fds = p.fds[:have-n]
		c.refill(key)
		return fds, nil, nil
	}
	p.grow()
	c.ask(key, n-len(p.fds)-p.pending)
	return nil, p.changed, nil
}

func (c *Client) refill(key poolKey) {
	p := c.pools[key]
	if have := len(p.fds) + p.pending; have <= p.batch/2 {
		c.ask(key, p.batch-have)
	}
}

// ask makes askLoop ask the agent for n sockets; they come to fill.
func (c *Client) ask(key poolKey, n int) {
	if c.conn == nil {
		return // setConn wakes whoever waits
	}
	p := c.pools[key]
	for n > 0 {
		count := min(n, maxFDs)
		c.seq++
		c.asks = append(c.asks, ask{key, count, c.seq})
		p.pending += count
		n -= count
	}
	c.nudge()
}

// nudge has askLoop look.
func (c *Client) nudge() {
	select {
	case c.asked <- struct{}{}:
	default: // it will anyway
	}
}

// ask is a want_upstream to be sent.
type ask struct {
	key   poolKey
	count int
	seq   uint32
}

// askLoop sends what is asked for until the connection or stop is closed. It
// is a goroutine of its own, so that the one that receives never waits for
// the agent to read: each would wait for the other.
func (c *Client) askLoop(conn *conn, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-c.asked:
		}
		asks, ours := c.takeAsks(conn)
		if !ours {
			c.nudge() // the loop of the connection that came after this one
			return
		}
		for _, a := range asks {
			m := &message{Type: typeWantUpstream, ID: a.key.pod, Family: a.key.family, Protocol: a.key.protocol, Count: a.count, Seq: a.seq}
			if err := conn.send(m); err != nil {
				conn.broken(err) // Run connects again
				return
			}
		}
	}
}

func (c *Client) lastSeq() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seq
}

// takeAsks takes what is to be asked for; ours is false when that is not to be
// sent on conn any more.
func (c *Client) takeAsks(conn *conn) (asks []ask, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != conn {
		return nil, false
	}
	asks, c.asks = c.asks, nil
	return asks, true
}

func (c *Client) fill(key poolKey, fds []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pools[key]
	if p == nil {
		closeAll(fds) // the pod went meanwhile
		return
	}
	p.fds = append(p.fds, fds...)
	p.pending = max(0, p.pending-len(fds))
	p.wake()
}

func (c *Client) refuse(key poolKey, seq uint32, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pools[key]; p != nil {
		p.pending = 0
		p.refused, p.seq = why, seq
		p.wake()
	}
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}
