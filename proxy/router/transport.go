package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// asks are what the request asks of the upstream connection's transport
// socket, nil in most clusters.
func (f *filter) asks() *cluster.TransportOptions {
	h := f.cb.RequestHeaders()
	authority := h.Get(http.Authority)
	if name := f.cluster.Info().AutoSNIHeader; name != "" {
		if v, ok := h.GetName(name); ok && v != "" {
			authority = v
		}
	}
	return f.cluster.TransportOptions(f.host, f.cb.Connection(), f.cb.StreamInfo().FilterState, authority)
}

// recordTransport notes what the connection's transport socket has found out.
func recordTransport(info *streaminfo.Info, conn *network.Connection) {
	info.UpstreamTLS, info.UpstreamServerName, info.UpstreamHandshakeEnd = nil, "", 0
	info.UpstreamConnectBegin, info.UpstreamConnectEnd = conn.Opened(), conn.Connected()
	if i := conn.Info; i != nil {
		info.UpstreamHandshakeEnd = i.HandshakeEnd
		if info.UpstreamTLS = i.TLS; i.TLS != nil {
			info.UpstreamServerName = i.TLS.SNI()
		}
	}
}
