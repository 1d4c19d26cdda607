package tcpproxy

import "github.com/weirproxy/weir/proxy/streaminfo"

// finish stops the timers and writes the access log, once.
func (p *proxy) finish() {
	if p.idle.Ready() {
		p.idle.Release()
	}
	if p.most != nil {
		p.most.Release()
	}
	if p.periodic != nil {
		p.periodic.Release()
	}
	if p.retry != nil {
		p.retry.timer.Release()
	}
	if p.early != nil {
		p.early.data.Reset()
	}
	p.log(streaminfo.LogTCPConnectionEnd)
}

// log writes a line to each access log.
func (p *proxy) log(t streaminfo.LogType) {
	if len(p.s.logs) == 0 {
		return
	}
	info := p.info()
	info.LogType = t
	if t != streaminfo.LogTCPConnectionEnd {
		info.End = 0
	}
	for _, l := range p.s.logs {
		l.Log(p.down.Loop(), &info)
	}
}

// startLogging logs what access_log_options asks for before the end.
func (p *proxy) startLogging() {
	if p.s.logStart {
		p.log(streaminfo.LogTCPConnectionStart)
	}
	if p.s.logEvery > 0 {
		p.periodic = p.down.Loop().NewTimer(func() {
			p.log(streaminfo.LogTCPPeriodic)
			p.periodic.Enable(p.s.logEvery)
		})
		p.periodic.Enable(p.s.logEvery)
	}
}

// info gathers what the access log may print. It is made at the end, so that
// a connection does not carry it.
func (p *proxy) info() streaminfo.Info {
	c := p.down
	now := c.Loop().Now()
	i := streaminfo.Info{
		Listener: p.s.listener,
		Conn:     c, Start: c.Loop().Time().Add(c.Opened() - now), Begin: c.Opened(), End: now,
		Flags: p.flags, DownstreamLocalClose: p.closed, FilterChain: p.s.chain,
		BytesReceived: c.BytesReceived(), BytesSent: c.BytesSent(), WireBytesReceived: c.BytesReceived(), WireBytesSent: c.BytesSent(),
		Cluster: p.clusterName(), AttemptCount: int(p.attempts), UpstreamFailure: p.failure,
		DownstreamLocal: c.LocalAddress(), DownstreamRemote: c.RemoteAddress(),
		DownstreamDirectLocal: c.LocalAddress(), DownstreamDirectRemote: c.RemoteAddress(),
		UpstreamCloseType: "Normal",
	}
	if x := c.Info; x != nil {
		i.DownstreamDirectLocal, i.DownstreamDirectRemote = x.DirectLocal, x.DirectRemote
		i.RequestedServerName, i.JA3, i.JA4, i.Metadata, i.FilterState = x.ServerName, x.JA3, x.JA4, x.Metadata, x.FilterState
		i.TerminationDetails, i.ResponseCodeDetails = x.TerminationDetails, x.Details
		i.Flags |= streaminfo.Flags(x.Flags)
		i.DownstreamFailure = x.NotTLS
		if x.CloseReason != "" {
			i.DownstreamLocalClose = x.CloseReason
		}
	}
	if p.cluster != nil {
		i.ClusterStatName, i.ClusterMetadata = p.cluster.Info().StatName, p.cluster.Info().Metadata
	}
	if p.host != nil {
		i.UpstreamHost, i.UpstreamHostname, i.UpstreamMetadata = p.host.Current(), p.host.Hostname, p.host.Metadata()
	}
	if p.down.PeerReset() {
		i.DownstreamCloseType = "RemoteReset"
	}
	if p.conn != nil {
		i.UpstreamLocalClose = p.closed
		switch {
		case p.conn.PeerReset():
			i.UpstreamCloseType, i.DownstreamCloseType = "RemoteReset", "LocalReset"
		case p.down.PeerReset():
			i.UpstreamCloseType = "LocalReset"
		}
		i.UpstreamRemote = p.conn.RemoteAddress()
		i.UpstreamConnectBegin, i.UpstreamConnectEnd = p.conn.Opened(), p.conn.Connected()
		if p.conn.Info != nil {
			i.UpstreamTLS, i.UpstreamHandshakeEnd = p.conn.Info.TLS, p.conn.Info.HandshakeEnd
			i.UpstreamFilterState = p.conn.Info.FilterState
		}
		i.UpstreamLocal, i.UpstreamConnID = p.conn.LocalAddress(), p.conn.ID()
	}
	if p.conn != nil && p.s.tunnel == nil {
		i.UpstreamBytesReceived, i.UpstreamBytesSent = p.conn.BytesReceived(), p.conn.BytesSent()
	}
	return i
}

// clusterName is the cluster that is used, "" while there is none.
func (p *proxy) clusterName() string {
	if p.cluster == nil {
		return ""
	}
	return p.target.name
}
