package listener

import (
	"net/netip"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
)

// PodConnection is a connection that a socket of the agent's brought.
type PodConnection struct {
	PodID          uint32
	Direction      pods.Direction
	Client         netip.AddrPort
	Destination    netip.AddrPort // the original one
	Peer           string         // the pod at the other end, NAMESPACE/NAME; empty: none of this node's
	Name           string         // what the pod called that, if its DNS is caught
	Cluster        string         // where it, or the last request on it, was sent
	Received, Sent uint64         // bytes from and to the client
	Age            time.Duration
}

// PodConnections gives f those that live, on main, soon.
func (m *Manager) PodConnections(f func([]PodConnection)) {
	perWorker := make([][]PodConnection, len(m.handlers))
	m.eachHandler(func(h *handler) {
		perWorker[h.worker] = h.podConnections()
	}, func() {
		var all []PodConnection
		for _, some := range perWorker {
			all = append(all, some...)
		}
		f(all)
	})
}

func (h *handler) podConnections() (out []PodConnection) {
	for _, al := range h.listeners {
		al.conns.each(func(c *conn) {
			if p := podOf(&c.Connection); p != nil {
				out = append(out, p.describe(&c.Connection))
			}
		})
	}
	return out
}

// WatchPods has f told of each that ends, on the worker that had it; nil: no
// more. f must not wait.
func (m *Manager) WatchPods(f func(PodConnection)) {
	if f == nil {
		m.shared.closedPod.Store(nil)
		return
	}
	m.shared.closedPod.Store(&f)
}

// closed takes the connection out of its pod's and tells whoever watches.
func (p *podConn) closed(s *server, c *network.Connection) {
	p.stats.CxActive.Dec()
	if tell := s.closedPod.Load(); tell != nil {
		(*tell)(p.describe(c))
	}
}

func (p *podConn) describe(c *network.Connection) PodConnection {
	d := PodConnection{
		PodID: p.Pod.ID, Direction: p.Direction, Client: c.RemoteAddress().AddrPort, Destination: c.LocalAddress().AddrPort,
		Cluster: c.Info.Cluster, Received: c.BytesReceived(), Sent: c.BytesSent(), Age: c.Loop().Now() - c.Opened(),
	}
	if a := c.Info.DirectRemote; a.IsSet() {
		d.Client = a.AddrPort
	}
	if peer, ok := c.Info.FilterState[pods.PeerKey].(*pods.Identity); ok {
		d.Peer = peer.String()
	}
	d.Name, _ = c.Info.FilterState[NameKey].(string)
	return d
}
