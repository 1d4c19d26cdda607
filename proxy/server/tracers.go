package server

import (
	"net/netip"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/tracing"
)

// makeTracers prepares the tracers that connection managers ask for.
func (s *server) makeTracers() error {
	//lint:ignore SA1019 Envoy still takes it
	t := s.bootstrap.GetTracing()
	if err := field.Only("tracing", t, "http"); err != nil {
		return err
	}
	s.tracers = &tracing.Providers{
		Clients: collectors{s}, Stats: s.stats, Loops: s.loops, Runtime: s.runtime, Cluster: s.bootstrap.GetNode().GetCluster(),
		Local:   network.Address{AddrPort: netip.AddrPortFrom(s.local, 0)},
		Default: t.GetHttp(),
	}
	return nil
}
