package router

import (
	"time"

	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// upstreamLog is upstream_log: a line for each try.
type upstreamLog struct {
	logs     []accesslog.Logger
	onStream bool          // and one when the try has its connection
	every    time.Duration // and again and again; 0: not
}

// tryLog is what is logged of one try. It exists where tries are logged.
type tryLog struct {
	u        *upstreamRequest
	info     streaminfo.Info
	periodic event.Timer
}

// startLog begins the account of a try.
func (u *upstreamRequest) startLog() {
	if len(u.f.cfg.logs) == 0 {
		return
	}
	loop := u.f.cb.Loop()
	u.log = &tryLog{u: u}
	u.log.info.Start, u.log.info.Begin = loop.Time(), loop.Now()
	if every := u.f.cfg.every; every > 0 {
		loop.InitTimer(&u.log.periodic, u.log.again)
		u.log.periodic.Enable(every)
	}
}

func (l *tryLog) ready(protocol string) {
	if l == nil {
		return
	}
	l.info.Protocol, l.info.UpstreamPoolReady = protocol, l.u.f.cb.Loop().Now()
	l.info.FirstUpstreamTxByte = l.info.UpstreamPoolReady
	if l.u.f.cfg.onStream {
		l.write(streaminfo.LogUpstreamPoolReady)
	}
}

func (l *tryLog) sent(bytes int) {
	if l != nil {
		l.info.BytesSent += uint64(bytes)
	}
}

func (l *tryLog) received(bytes int) {
	if l != nil {
		l.info.BytesReceived += uint64(bytes)
	}
}

func (l *tryLog) failed(flag streaminfo.Flags, failure string) {
	if l != nil {
		l.info.SetFlag(flag)
		l.info.UpstreamFailure = failure
	}
}

func (l *tryLog) again() {
	l.write(streaminfo.LogUpstreamPeriodic)
	l.periodic.Enable(l.u.f.cfg.every)
}

// end logs the try's end, once.
func (l *tryLog) end() {
	if l == nil || l.info.End != 0 {
		return
	}
	l.info.End = l.u.f.cb.Loop().Now()
	if l.u.f.cfg.every > 0 {
		l.periodic.Release()
	}
	l.write(streaminfo.LogUpstreamEnd)
}

// write adds what the request knows to what the try does. What filters have
// left (metadata, filter state) is the request's alone, as in Envoy.
func (l *tryLog) write(t streaminfo.LogType) {
	f, i := l.u.f, &l.info
	all, loop := f.cb.StreamInfo(), f.cb.Loop()
	i.LogType, i.Conn, i.HealthCheck = t, all.Conn, all.HealthCheck
	i.DownstreamLocal, i.DownstreamDirectLocal = all.DownstreamLocal, all.DownstreamDirectLocal
	i.DownstreamRemote, i.DownstreamDirectRemote = all.DownstreamRemote, all.DownstreamDirectRemote
	i.RequestedServerName, i.WireBytesReceived = all.RequestedServerName, all.WireBytesReceived
	i.Listener, i.FilterChain = all.Listener, all.FilterChain
	i.RouteName, i.VirtualHost = all.RouteName, all.VirtualHost
	i.Cluster, i.ClusterStatName, i.ClusterMetadata = all.Cluster, all.ClusterStatName, all.ClusterMetadata
	i.RouteMetadata, i.VirtualHostMetadata = all.RouteMetadata, all.VirtualHostMetadata
	i.UpstreamBytesReceived, i.UpstreamBytesSent = all.UpstreamBytesReceived, all.UpstreamBytesSent
	i.UpstreamHeaderReceived, i.UpstreamHeaderSent = all.UpstreamHeaderReceived, all.UpstreamHeaderSent
	if h := l.u.host; h != nil {
		i.UpstreamHost, i.UpstreamHostname, i.UpstreamMetadata = h.Current(), h.Hostname, h.Metadata()
	}
	if i.UpstreamPoolReady != 0 {
		i.UpstreamLocal, i.UpstreamConnID, i.UpstreamTLS, i.UpstreamProtocol = all.UpstreamLocal, all.UpstreamConnID, all.UpstreamTLS, i.Protocol
	}
	i.ResponseCode = l.u.code
	c := formatter.Context{Info: i, RequestHeaders: f.cb.RequestHeaders(), ResponseHeaders: l.u.head, ResponseTrailers: l.u.respTrailers, Now: loop.Now(), Time: loop.Time()}
	for _, logger := range f.cfg.logs {
		logger.Log(f.cb.Worker(), &c)
	}
}
