package originaldst

import (
	"net/netip"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
)

// The filter state objects, and the namespace of metadata, that tell where a
// connection to an internal listener was going and where it came from.
const (
	localKey  = "envoy.filters.listener.original_dst.local_ip"
	remoteKey = "envoy.filters.listener.original_dst.remote_ip"
	namespace = "envoy.filters.listener.original_dst"
)

// restoreInternal takes the addresses from what the connecting side hands on:
// the local one from metadata, else from filter state, the remote one from
// filter state.
func restoreInternal(s *listener.Socket) {
	i := s.Info()
	local, ok := i.Metadata[namespace]["local"].(string)
	if !ok {
		local, _ = i.FilterState[localKey].(string)
	}
	if a, err := netip.ParseAddrPort(local); err == nil {
		s.RestoreLocal(network.IPAddress(a))
	}
	remote, _ := i.FilterState[remoteKey].(string)
	if a, err := netip.ParseAddrPort(remote); err == nil {
		s.Remote = network.IPAddress(a)
	}
}
