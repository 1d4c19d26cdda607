package agent

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/agent/handoff"
)

// source is the agent as the proxies see it ([handoff.Source]).
type source Agent

var _ handoff.Source = (*source)(nil)

// Adopt takes a listener back from a proxy that outlived the last agent. It
// must be the very socket that the kernel gives the pod's connections to.
func (s *source) Adopt(podID uint32, l handoff.Listener) {
	a := (*Agent)(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.adopt(podID, l) {
		unix.Close(l.FD)
	}
}

func (a *Agent) adopt(podID uint32, l handoff.Listener) bool {
	p := a.byID[podID]
	if p == nil {
		return false
	}
	for _, mine := range p.listeners {
		if mine.fd >= 0 || mine.direction != l.Direction || mine.family != l.Family {
			continue
		}
		want, alive, err := a.redirect.Listener(podID, mine.kind)
		if err != nil || !alive {
			return false
		}
		got, err := unix.GetsockoptUint64(l.FD, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil || got != want {
			return false
		}
		return mine.take(l.FD) == nil
	}
	return false
}

// Ready makes the listeners that did not come back.
func (s *source) Ready() {
	a := (*Agent)(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.managed {
		a.mendListeners(p)
	}
}

// UpstreamSockets makes sockets that are never caught.
func (s *source) UpstreamSockets(podID uint32, f handoff.Family, protocol handoff.Protocol, n int) ([]int, error) {
	a := (*Agent)(s)
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.byID[podID]
	if p == nil {
		return nil, fmt.Errorf("no pod %d", podID)
	}
	fds, err := p.makeSockets(f == handoff.IPv6, protocol, n)
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		if err := a.redirect.Bypass(fd); err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, err
		}
	}
	return fds, nil
}

func (p *pod) makeSockets(is6 bool, protocol handoff.Protocol, n int) ([]int, error) {
	switch {
	case protocol == handoff.UDP:
		return p.ns.UDPSockets(is6, n)
	case protocol == handoff.TCP:
		return p.ns.UpstreamSockets(is6, n)
	case p.spec.KeepClientAddress:
		return p.ns.TransparentSockets(is6, n, routeMark)
	}
	return nil, fmt.Errorf("pod %s does not keep its clients' addresses", p.spec.Key())
}
