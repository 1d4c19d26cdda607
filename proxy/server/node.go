package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// node is the proxy's side of a node agent: it attaches the listening sockets
// that the agent made in the pods, connects to upstreams by sockets of the
// pods, and beats the heart that the eBPF programs watch.
type node struct {
	s      *server
	client *handoff.Client
	pods   *pods.Table
	tell   *event.Timer
	fds    map[uint32][]int // attached listening sockets by pod; main only
	hosts  atomic.Pointer[map[netip.Addr]bool]
	dns    *nodeDNS
	closed chan handoff.Connection // to be told to the agent
}

// heartbeatPeriod is how often the heartbeat is renewed: well below any
// max_silence.
const heartbeatPeriod = 100 * time.Millisecond

// startAgent connects to the agent, if there is to be one.
func (s *server) startAgent() {
	if s.node == nil {
		return
	}
	n := s.node
	ctx, cancel := context.WithCancel(context.Background())
	s.stopNode = cancel
	go func() {
		if err := n.client.Run(ctx, n); err != nil {
			s.main.Error("the connection to the agent has ended", "socket", s.o.AgentSocket, "error", err)
		}
	}()
	go n.reportClosed(ctx)
	n.beat()
	n.watchHosts()
	s.namesChanged()
}

func newNode(s *server) (*node, error) {
	n := &node{s: s, closed: make(chan handoff.Connection, closedQueue), pods: pods.NewTable(s.stats), fds: map[uint32][]int{}}
	var err error
	if n.client, err = n.dialAgent(); err != nil {
		return nil, fmt.Errorf("--agent-socket %s: %w", s.o.AgentSocket, err)
	}
	n.dns = newNodeDNS(n)
	n.hosts.Store(&map[netip.Addr]bool{})
	n.findHosts()
	return n, nil
}

// agentPatience is how long an agent may take that starts at the same time, as
// it does with a node.
const agentPatience = 5 * time.Second

func (n *node) dialAgent() (*handoff.Client, error) {
	deadline := time.Now().Add(agentPatience)
	for said := false; ; said = true {
		c, err := handoff.Dial(n.s.o.AgentSocket, n)
		absent := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED)
		if !absent || time.Now().After(deadline) {
			return c, err
		}
		if !said {
			n.s.main.Info("waiting for the agent", "socket", n.s.o.AgentSocket, "at_most", agentPatience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// beat tells the eBPF programs that main and its loop are alive.
func (n *node) beat() {
	n.client.Heartbeat()
	n.s.loops[0].NewTimer(n.beat).Enable(heartbeatPeriod)
}

// PodAdded implements handoff.Events.
func (n *node) PodAdded(p handoff.Pod) {
	n.s.loops[0].Post(func() {
		n.s.main.Info("pod added", "pod", p.Name, "namespace", p.Namespace, "id", p.ID, "addresses", fmt.Sprint(p.Addresses), "sockets", len(p.Listeners))
		pod := n.putPod(p)
		var dns listener.DNS // a nil interface where it isn't caught
		if p.HasDNS() {
			dns = n.dns
		}
		var dnsFDs []int
		for _, l := range p.Listeners {
			if l.Direction == handoff.DNS {
				dnsFDs = append(dnsFDs, l.FD)
				continue
			}
			name, od := n.s.o.OutboundListener, listener.Transparent
			direction := pods.Outbound
			if l.Direction == handoff.Inbound {
				name, direction = n.s.o.InboundListener, pods.Inbound
			}
			if l.OriginalDst == handoff.Sockopt {
				od = listener.SockOpt
			}
			socket := listener.PodSocket{Pod: pod, Direction: direction, OrigDst: od, KeepClient: p.KeepClientAddress && direction == pods.Inbound, DNS: dns}
			if err := n.s.listeners.AttachSocket(name, l.FD, socket); err != nil {
				n.s.main.Error("a pod's socket can't be used", "pod", p.Name, "error", err)
				continue
			}
			n.fds[p.ID] = append(n.fds[p.ID], l.FD)
		}
		if dns != nil {
			n.dns.add(p, dnsFDs)
		}
	})
}

// PodChanged implements handoff.Events.
func (n *node) PodChanged(p handoff.Pod) {
	n.s.loops[0].Post(func() {
		n.s.main.Info("pod changed", "pod", p.Name, "namespace", p.Namespace, "id", p.ID, "addresses", fmt.Sprint(p.Addresses))
		n.putPod(p)
	})
}

// DNSServersMoved implements handoff.Events.
func (n *node) DNSServersMoved(id, slot uint32, servers int) {
	n.s.loops[0].Post(func() {
		if err := n.dns.server.MoveServers(id, servers, slot); err != nil {
			n.s.main.Error("a pod's DNS can't be answered any more", "id", id, "error", err)
		}
		unix.Close(servers)
	})
}

// PeersChanged implements handoff.Events.
func (n *node) PeersChanged(peers []handoff.Peer, gone []string) {
	n.s.loops[0].Post(func() {
		for _, p := range peers {
			who := pods.Identity{Namespace: p.Namespace, Name: p.Name, ServiceAccount: p.ServiceAccount, Labels: p.Labels}
			n.pods.PutPeer(p.Key(), who, p.Addresses)
		}
		for _, key := range gone {
			n.pods.RemovePeer(key)
		}
	})
}

// putPod tells who the pod is: the workers now, the management servers soon.
func (n *node) putPod(p handoff.Pod) *pods.Pod {
	who := pods.Identity{Namespace: p.Namespace, Name: p.Name, ServiceAccount: p.ServiceAccount, Labels: p.Labels}
	pod := n.pods.Put(p.ID, who, p.Addresses)
	n.tellServers()
	return pod
}

// Yield implements handoff.Events.
func (n *node) Yield(on bool) {
	n.s.loops[0].Post(func() {
		n.s.main.Info("the pods' connections", "accepted_by", map[bool]string{true: "a newer proxy", false: "this proxy"}[on])
		n.s.listeners.Yield(on)
	})
}

// PodRemoved implements handoff.Events.
func (n *node) PodRemoved(id uint32) {
	n.s.loops[0].Post(func() {
		n.s.main.Info("pod removed", "id", id)
		for _, fd := range n.fds[id] {
			n.s.listeners.DetachSocket(fd)
		}
		delete(n.fds, id)
		n.pods.Remove(id)
		n.dns.server.Remove(id)
		n.tellServers()
		n.s.clusters.CloseKey(id)
	})
}

// Key implements pool.Dialer: upstream connections are a pod's own.
func (n *node) Key(downstream *network.Connection) uint32 {
	if downstream == nil || downstream.Info == nil {
		return 0
	}
	return downstream.Info.PodID
}

// Dial implements pool.Dialer: on behalf of a pod it connects a socket that
// the agent made in the pod's namespace.
func (n *node) Dial(l *network.Loop, key uint32, addr, bind network.Address, so []network.SocketOption, cb network.ConnectionCallbacks, o network.Options) (*network.Connection, error) {
	if key == 0 || addr.IsPipe() {
		return network.Dial(l, addr, bind, so, cb, o)
	}
	family := handoff.IPv4
	if addr.Addr().Is6() {
		family = handoff.IPv6
	}
	if n.isFromClient(key, addr, bind, so) {
		return n.dialFrom(l, key, family, addr, bind, cb, o)
	}
	if fd, ok := n.client.TakeUpstream(key, family, handoff.TCP); ok {
		return network.DialSocket(l, fd, addr, cb, o)
	}
	return network.DialLater(l, func() (int, error) {
		fds, err := n.client.UpstreamSockets(key, family, 1)
		if err != nil {
			return -1, err
		}
		return fds[0], nil
	}, addr, cb, o), nil
}

var _ pool.Dialer = (*node)(nil)

// guard refuses original destinations that would lead a pod's connection to
// the node itself, or back here.
func (n *node) guard(a netip.AddrPort) error {
	addr := a.Addr().Unmap()
	switch {
	case addr.IsLoopback(), addr.IsUnspecified():
		return fmt.Errorf("original destination %v is a loopback address", a)
	case addr.IsMulticast():
		return fmt.Errorf("original destination %v is a multicast address", a)
	case (*n.hosts.Load())[addr]:
		return fmt.Errorf("original destination %v is an address of the node", a)
	}
	if err := n.dns.guard(addr); err != nil {
		return fmt.Errorf("original destination %v: %w", a, err)
	}
	return nil
}

// watchHosts reads the node's own addresses, now and every few seconds.
func (n *node) watchHosts() {
	go n.findHosts()
	n.s.loops[0].NewTimer(n.watchHosts).Enable(10 * time.Second)
}

func (n *node) findHosts() {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		n.s.main.Warn("can't list the node's addresses", "error", err)
		return
	}
	hosts := map[netip.Addr]bool{}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			hosts[p.Addr().Unmap()] = true
		}
	}
	n.hosts.Store(&hosts)
}
