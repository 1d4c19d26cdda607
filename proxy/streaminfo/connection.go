package streaminfo

import "github.com/weirproxy/weir/proxy/network"

// OfConnection is what is known of a connection so far, for those who look at
// it before or without a stream.
func OfConnection(c *network.Connection) *Info {
	now := c.Loop().Now()
	i := &Info{
		Conn: c, Start: c.Loop().Time().Add(c.Opened() - now), Begin: c.Opened(),
		BytesReceived: c.BytesReceived(), BytesSent: c.BytesSent(),
		DownstreamLocal: c.LocalAddress(), DownstreamDirectLocal: c.LocalAddress(),
		DownstreamRemote: c.RemoteAddress(), DownstreamDirectRemote: c.RemoteAddress(),
	}
	if x := c.Info; x != nil {
		i.DownstreamDirectLocal, i.DownstreamDirectRemote = x.DirectLocal, x.DirectRemote
		i.RequestedServerName, i.JA3, i.JA4, i.Metadata, i.FilterState = x.ServerName, x.JA3, x.JA4, x.Metadata, x.FilterState
		i.FilterChain, i.Listener = x.ChainName, x.Listener
	}
	return i
}
