package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Events is told of the pods. Its methods are called one at a time, from the
// goroutine of [Client.Run].
type Events interface {
	// PodAdded hands over a pod; its listeners' descriptors are the receiver's.
	PodAdded(Pod)
	// PodChanged says that a pod has other addresses or another identity. Its
	// listeners are those that it was added with, and are not handed over again.
	PodChanged(Pod)
	// DNSServersMoved says that a pod whose DNS is caught has been told of again,
	// maybe by another agent: the table of the servers that it asks may be
	// another one. The descriptor is the receiver's.
	DNSServersMoved(id uint32, slot uint32, servers int)
	// PeersChanged tells of pods that the agent does not manage: who they are, or
	// are now, and which, by their keys, are gone.
	PeersChanged(peers []Peer, gone []string)
	// Yield says whether a newer proxy accepts the pods' connections, in place of
	// this one.
	Yield(on bool)
	// PodRemoved says that a pod is gone. Its descriptors must be closed:
	// they keep its network namespace.
	PodRemoved(id uint32)
}

// Client is a proxy's connection to the agent. It survives the agent: what it
// has been given stays in use, and it connects again.
type Client struct {
	path     string
	started  time.Time
	reporter Reporter // nil: it tells of no connections
	pulse    heartbeat
	peers    map[string]bool // that Run has told of, by key; its goroutine's
	yields   bool            // Run has told so; its goroutine's

	mu    sync.Mutex // guards what follows
	conn  *conn      // nil while there is none
	pods  map[uint32]*heldPod
	pools map[poolKey]*pool
	asks  []ask
	seq   uint32 // of the last ask
	done  bool

	draining bool

	asked chan struct{} // something is in asks
}

// Dial connects to the agent and agrees on the version. The agent may ask the
// reporter for connections, unless it is nil.
func Dial(path string, reporter Reporter) (*Client, error) {
	c := &Client{path: path, started: time.Now(), reporter: reporter, pods: map[uint32]*heldPod{}, pools: map[poolKey]*pool{}, peers: map[string]bool{}, asked: make(chan struct{}, 1)}
	conn, err := c.connect()
	if err != nil {
		return nil, err
	}
	c.conn = conn
	return c, nil
}

// Run reports the pods to events until ctx is done, then returns nil. When
// the connection breaks it makes a new one, returns what it holds to the
// agent, and reports only what is different.
func (c *Client) Run(ctx context.Context, events Events) error {
	const first, longest = 20 * time.Millisecond, 250 * time.Millisecond
	defer context.AfterFunc(ctx, c.disconnect)()
	for wait := first; ; {
		if conn := c.current(); conn != nil {
			err := c.talk(conn, events)
			c.disconnect()
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, errProtocol) {
				return fmt.Errorf("agent at %s: %w", c.path, err)
			}
			wait = first
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
		if conn, err := c.connect(); err == nil {
			c.setConn(conn)
		} else if errors.Is(err, errProtocol) {
			return fmt.Errorf("agent at %s: %w", c.path, err)
		}
	}
}

// Heartbeat tells the kernel that the proxy is alive. Call it several times
// within the agent's --max-silence, from the thread whose health it tells.
func (c *Client) Heartbeat() { c.pulse.beat() }

// Close closes the connection and every descriptor that is still the
// client's. Run must have returned.
func (c *Client) Close() error {
	c.disconnect()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	for id := range c.pods {
		c.forget(id)
	}
	c.pulse.close()
	return nil
}

// errProtocol marks what connecting again would not mend.
var errProtocol = errors.New("protocol error")

func (c *Client) connect() (*conn, error) {
	u, err := net.DialUnix(network, nil, &net.UnixAddr{Name: c.path, Net: network})
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	conn := newConn(u)
	if err := c.greet(conn); err != nil {
		conn.close()
		return nil, fmt.Errorf("agent at %s: %w", c.path, err)
	}
	return conn, nil
}

func (c *Client) greet(conn *conn) error {
	if err := conn.unix.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	hello := &message{Type: typeHello, Version: Version, Features: []string{FeatureDNS, FeatureYield}, Started: c.started.UnixNano()}
	if c.reporter != nil {
		hello.Features = append(hello.Features, FeatureConnections)
	}
	if err := conn.send(hello); err != nil {
		return err
	}
	m, fds, err := conn.receive()
	if err != nil {
		return fmt.Errorf("no hello (is this user one of its --proxy-uid?): %w", err)
	}
	defer closeAll(fds)
	if m.Type != typeHello || m.Version < oldestVersion || len(fds) != 1 {
		return fmt.Errorf("%w: %q of version %d, not hello of version %d or later", errProtocol, m.Type, m.Version, oldestVersion)
	}
	conn.dns = slices.Contains(m.Features, FeatureDNS)
	if err := c.pulse.use(fds[0]); err != nil {
		return err
	}
	return conn.unix.SetReadDeadline(time.Time{})
}

func (c *Client) talk(conn *conn, events Events) error {
	stop := make(chan struct{})
	defer close(stop)
	if c.reporter != nil {
		defer c.reporter.Watch(false) // the next agent says so itself
	}
	go c.askLoop(conn, stop)
	announced := map[uint32]bool{}
	diff := &peerDiff{told: map[string]bool{}}
	if err := errors.Join(c.tellDraining(conn), c.returnHeld(conn)); err != nil {
		return err
	}
	for {
		m, fds, err := conn.receive()
		if errors.Is(err, unix.ECONNRESET) {
			continue // told once, of an agent that ended with questions unread; its last words come behind
		}
		if err != nil {
			return err
		}
		if !m.isKnown() {
			closeAll(fds)
			continue
		}
		switch m.Type {
		case typePodAdded:
			announced[m.Pod.ID] = true
			if err := c.podAdded(*m.Pod, fds, events); err != nil {
				return err
			}
		case typePodRemoved:
			c.podRemoved(m.ID, events)
		case typeSynced:
			for _, id := range c.unannounced(announced) {
				c.podRemoved(id, events)
			}
		case typePeers:
			c.peersChanged(m, diff, events)
		case typePeersComplete:
			c.peersComplete(diff, events)
		case typeUpstream:
			c.fill(m.pool(), fds)
		case typeList:
			if c.reporter != nil {
				go answerList(conn, c.reporter, m.Seq)
			}
		case typeWatch:
			if c.reporter != nil {
				c.reporter.Watch(m.Watch)
			}
		case typeYield:
			c.toldYield(m.Yield, events)
		case typeRefused:
			c.refuse(m.pool(), m.Seq, m.Error)
		default:
			closeAll(fds)
			return fmt.Errorf("%w: message %q is not an agent's", errProtocol, m.Type)
		}
	}
}

func (c *Client) current() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

func (c *Client) setConn(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	for _, p := range c.pools {
		p.wake() // whoever waits asks this one
	}
}

func (c *Client) disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.close()
		c.conn = nil
	}
	c.asks = nil
	for _, p := range c.pools {
		p.pending = 0 // will not be answered
		p.wake()
	}
}

// socketCookie tells sockets apart, across descriptors and processes.
func socketCookie(fd int) uint64 {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0
	}
	return cookie
}
