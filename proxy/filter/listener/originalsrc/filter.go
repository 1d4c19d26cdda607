package originalsrc

import (
	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

type filter struct{ mark uint32 }

// Inspect implements listener.Filter.
func (f filter) Inspect(s *listener.Socket) listener.Status {
	if s.Remote.AddrPort.IsValid() {
		s.Info().UpstreamSource = network.Source{Addr: s.Remote.Addr(), Mark: f.mark}
	}
	return listener.Continue
}
