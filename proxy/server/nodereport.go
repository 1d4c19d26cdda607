package server

import (
	"context"
	"time"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/pods"
)

// node tells the agent of the pods' connections when it asks.
var _ handoff.Reporter = (*node)(nil)

const (
	// listPatience is how long the workers may take to list theirs.
	listPatience = 2 * time.Second
	// closedQueue is how many that have ended may wait to be told. More are
	// not told: a worker never waits.
	closedQueue = 4096
)

// Connections implements handoff.Reporter.
func (n *node) Connections() []handoff.Connection {
	got := make(chan []listener.PodConnection, 1)
	n.s.loops[0].Post(func() {
		n.s.listeners.PodConnections(func(all []listener.PodConnection) { got <- all })
	})
	select {
	case all := <-got:
		out := make([]handoff.Connection, len(all))
		for i := range all {
			out[i] = report(&all[i])
		}
		return out
	case <-time.After(listPatience):
		return nil
	}
}

// Watch implements handoff.Reporter.
func (n *node) Watch(on bool) {
	n.s.loops[0].Post(func() {
		if !on {
			n.s.listeners.WatchPods(nil)
			return
		}
		n.s.listeners.WatchPods(func(c listener.PodConnection) {
			select {
			case n.closed <- report(&c):
			default:
			}
		})
	})
}

// reportClosed tells of those that have ended, several at once when they come
// fast.
func (n *node) reportClosed(ctx context.Context) {
	batch := make([]handoff.Connection, 0, handoff.BatchSize)
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-n.closed:
			batch = append(batch[:0], c)
		}
		for more := true; more && len(batch) < cap(batch); {
			select {
			case c := <-n.closed:
				batch = append(batch, c)
			default:
				more = false
			}
		}
		n.client.Closed(batch)
	}
}

func report(c *listener.PodConnection) handoff.Connection {
	direction := handoff.Outbound
	if c.Direction == pods.Inbound {
		direction = handoff.Inbound
	}
	return handoff.Connection{
		Pod: c.PodID, Direction: direction, Client: c.Client, Destination: c.Destination, Peer: c.Peer,
		Name: c.Name, Service: c.Cluster, Received: c.Received, Sent: c.Sent, Age: c.Age.Seconds(),
	}
}
