package listener

import "github.com/weirproxy/weir/proxy/network"

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

// PodInfo is what the agent says of a socket that it hands over.
type PodInfo struct {
	ID              uint32
	Name, Namespace string
	Kind            string // "inbound", "outbound"; for people
	OrigDst         OrigDst
}

// pod is a PodInfo ready for use.
type pod struct {
	PodInfo
	label string // "namespace/name"
}

// restore notes whose connection this is and where it was going.
func (p *pod) restore(s *Socket, bound network.Address) {
	info := s.Info()
	info.Pod, info.PodID = p.label, p.ID
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
