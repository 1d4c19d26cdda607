package handoff

import (
	"fmt"
	"net/netip"
	"strings"
)

// FeatureConnections is in the hello of a proxy that tells of connections.
const FeatureConnections = "connections"

// Connection is one of a pod's connections, as its proxy knows it.
type Connection struct {
	Pod       uint32    `json:"pod"`
	Direction Direction `json:"direction"`
	// Client is who connected; Destination is where to, before it was caught.
	Client      netip.AddrPort `json:"client"`
	Destination netip.AddrPort `json:"destination"`
	// Peer is the pod at the other end, NAMESPACE/NAME, if it is one of this node's.
	Peer string `json:"peer,omitempty"`
	// Name is what the pod called the destination when it looked it up, if its
	// DNS is caught.
	Name string `json:"name,omitempty"`
	// Service is the name of the cluster that it, or the last request on it,
	// was sent to.
	Service string `json:"service,omitempty"`
	// Received and Sent are the bytes from and to the client.
	Received uint64 `json:"received"`
	Sent     uint64 `json:"sent"`
	// Age is for how long it has lived, or did, in seconds.
	Age float64 `json:"age"`
}

// Reporter is a proxy that tells of its connections.
type Reporter interface {
	// Connections are those that live. It is called on a goroutine of its own.
	Connections() []Connection
	// Watch says whether [Client.Closed] is to be told of those that end. It
	// must not wait.
	Watch(on bool)
}

const (
	// batchSize is how many connections a message has room for, the longest.
	batchSize   = 8
	maxPeerName = 2*maxName + 1
	maxService  = 256
)

// fit cuts what is too long: names are for people.
func (c *Connection) fit() {
	c.Peer, c.Name, c.Service = cut(c.Peer, maxPeerName), cut(c.Name, maxName), cut(c.Service, maxService)
}

// cut leaves no part of a character: in JSON that would be longer than it was.
func cut(s string, most int) string { return strings.ToValidUTF8(s[:min(len(s), most)], "") }

func checkConnections(cs []Connection) error {
	for i := range cs {
		c := &cs[i]
		if c.Direction != Outbound && c.Direction != Inbound {
			return fmt.Errorf("direction %q", c.Direction)
		}
		if len(c.Peer) > maxPeerName || len(c.Name) > maxName || len(c.Service) > maxService {
			return fmt.Errorf("a name of more than %d bytes", maxPeerName)
		}
		if err := checkID(c.Pod); err != nil {
			return err
		}
	}
	return nil
}

// answerList sends the reporter's connections, in as many messages as it takes.
func answerList(conn *conn, r Reporter, seq uint32) {
	all := r.Connections()
	for {
		n := min(len(all), batchSize)
		m := &message{Type: typeConnections, Seq: seq, Connections: all[:n], More: n < len(all)}
		for i := range m.Connections {
			m.Connections[i].fit()
		}
		if err := conn.send(m); err != nil || !m.More {
			return // the reader notices an end
		}
		all = all[n:]
	}
}

// Closed tells the agent of connections that have ended, at most [BatchSize]
// at once.
func (c *Client) Closed(closed []Connection) {
	conn := c.current()
	if conn == nil {
		return
	}
	for i := range closed {
		closed[i].fit()
	}
	if err := conn.send(&message{Type: typeClosed, Connections: closed}); err != nil {
		conn.broken(err) // Run connects again
	}
}

// BatchSize is how many connections [Client.Closed] can be told of at once.
const BatchSize = batchSize
