package listener

import (
	"net/netip"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/pods"
)

// OrigDst is how the original destination of a connection is learned.
type OrigDst uint8

const (
	// NoOrigDst: clients connect to the socket's own address.
	NoOrigDst OrigDst = iota
	// Transparent: the accepted socket's local address is it.
	Transparent
	// SockOpt: SO_ORIGINAL_DST answers.
	SockOpt
)

// PodSocket is what the agent says of a socket that it hands over.
type PodSocket struct {
	Pod       *pods.Pod
	Direction pods.Direction
	OrigDst   OrigDst
	DNS       DNS // nil unless the pod's DNS is caught
	// KeepClient has upstream connections come from the client's address.
	KeepClient bool
}

// DNS is what is known of a pod's DNS. Its methods are called on workers and
// do not block.
type DNS interface {
	// Name is what the pod called an address when it looked it up; or empty.
	Name(pod uint32, addr netip.Addr) string
	// TakeStream answers the questions that the pod sends to a server over TCP.
	// fd is the connection, which it takes over.
	TakeStream(pod uint32, server netip.Addr, fd int)
}

// NameKey is a connection's filter state: what the pod called its destination.
const NameKey = "weir.destination.name"

const dnsPort = 53

// takeDNS gives a connection to a DNS server to those who answer questions.
func (p *PodSocket) takeDNS(s *Socket) bool {
	if p.DNS == nil || p.Direction != pods.Outbound || !s.localRestored || s.Local.Port() != dnsPort {
		return false
	}
	s.forget()
	p.DNS.TakeStream(p.Pod.ID, s.Local.Addr(), s.fd)
	return true
}

// restore notes whose connection this is and where it was going.
func (p *PodSocket) restore(s *Socket, bound network.Address) {
	s.pod = p
	info := s.Info()
	info.PodID = p.Pod.ID
	p.restoreLocal(s, bound)
	if p.KeepClient {
		info.UpstreamSource = network.Source{Addr: s.Remote.Addr().Unmap()}
	}
	peer := s.Remote
	if p.Direction == pods.Outbound {
		peer = s.Local
	}
	info.ShareFilterState(p.Pod.FilterState(peer.Addr()))
	if p.DNS != nil && p.Direction == pods.Outbound {
		if name := p.DNS.Name(p.Pod.ID, s.Local.Addr()); name != "" {
			info.SetFilterState(NameKey, name)
		}
	}
}

func (p *PodSocket) restoreLocal(s *Socket, bound network.Address) {
	switch p.OrigDst {
	case Transparent:
		// Who connects to the listening socket itself was not redirected;
		// to go on to there would come back here, for ever.
		if s.Local.Port() == bound.Port() && (bound.Addr().IsUnspecified() || s.Local.Addr() == bound.Addr()) {
			return
		}
		s.RestoreLocal(s.Local)
	case SockOpt:
		if a, ok := network.OriginalDst(s.fd, s.Local); ok && a.AddrPort != s.Local.AddrPort {
			s.RestoreLocal(a)
		}
	}
}

// podConn is what is kept of a pod's connection.
type podConn struct {
	*PodSocket
	stats *pods.Stats
	bytes network.ByteCounters // besides those of
	begin network.ByteCounters // the connection, until a filter sets others
}

// opened has the connection counted among its pod's.
func (p *PodSocket) opened(c *network.Connection) {
	st := p.Pod.Stats(p.Direction, c.Loop().Worker)
	st.CxTotal.Inc()
	st.CxActive.Inc()
	of := &podConn{PodSocket: p, stats: st, bytes: network.ByteCounters{Rx: (*uint64)(&st.RxBytes), Tx: (*uint64)(&st.TxBytes)}}
	c.Info.Pod = of
	of.begin.Besides = &of.bytes
	c.SetCounters(&of.begin)
}

// podOf is what is kept of c if it is a pod's connection; nil if not.
func podOf(c *network.Connection) *podConn {
	if c.Info == nil {
		return nil
	}
	of, _ := c.Info.Pod.(*podConn)
	return of
}
