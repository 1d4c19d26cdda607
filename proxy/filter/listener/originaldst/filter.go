package originaldst

import (
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

type filter struct{}

// Inspect implements listener.Filter.
func (filter) Inspect(s *listener.Socket) listener.Status {
	if _, internal := s.Local.Internal(); internal {
		restoreInternal(s)
		return listener.Continue
	}
	if s.LocalRestored() || !s.Local.AddrPort.IsValid() {
		return listener.Continue
	}
	if a, ok := network.OriginalDst(s.FD(), s.Local); ok {
		// A client that connected to the listener itself was not redirected:
		// the kernel then names our own address, if it answers at all.
		if a.AddrPort != s.Local.AddrPort {
			s.RestoreLocal(a)
		}
	} else if network.IsTransparent(s.FD(), s.Local) {
		s.RestoreLocal(s.Local)
	}
	return listener.Continue
}
