package udpproxy

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// Namespaces of the dynamic metadata that the logs' lines are made of.
const (
	sessionMetadata = "udp.proxy.session"
	proxyMetadata   = "udp.proxy.proxy"
)

// log writes a line for the session to each of its logs.
func (s *session) log(t streaminfo.LogType) {
	f := s.f
	if len(f.logs) == 0 {
		return
	}
	now, c := f.loop.Now(), &s.counts
	info := streaminfo.Info{
		LogType: t, Flags: s.flags,
		Start: f.loop.Time().Add(s.opened - now), Begin: s.opened, End: now,
		BytesReceived: c.rxBytes, BytesSent: c.txBytes,
		DownstreamLocal: network.IPAddress(s.key.local), DownstreamDirectLocal: network.IPAddress(s.key.local),
		DownstreamRemote: network.IPAddress(s.key.peer), DownstreamDirectRemote: network.IPAddress(s.key.peer),
		Metadata: map[string]map[string]any{sessionMetadata: {
			"cluster_name":   s.to.Info().Name,
			"bytes_received": float64(c.rxBytes), "datagrams_received": float64(c.rxDatagrams),
			"bytes_sent": float64(c.txBytes), "datagrams_sent": float64(c.txDatagrams), "errors_sent": float64(c.txErrors),
		}},
		UpstreamLocal: s.local,
	}
	if s.host != nil {
		info.UpstreamHost, info.UpstreamHostname, info.UpstreamMetadata = s.host.Current(), s.host.Hostname, s.host.Metadata()
	}
	for _, l := range f.logs {
		l.Log(f.loop, &info)
	}
}

func (s *session) logPeriodically() {
	s.log(streaminfo.LogUDPPeriodic)
	s.periodic.Enable(s.f.logEvery)
}

// log writes the line that sums up all sessions.
func (f *filter) log() {
	if len(f.proxyLogs) == 0 {
		return
	}
	now, c := f.loop.Now(), &f.counts
	info := streaminfo.Info{
		Start: f.loop.Time().Add(f.opened - now), Begin: f.opened, End: now,
		BytesReceived: c.rxBytes, BytesSent: c.txBytes,
		Metadata: map[string]map[string]any{proxyMetadata: {
			"bytes_received": float64(c.rxBytes), "datagrams_received": float64(c.rxDatagrams), "errors_received": float64(f.rxErrors),
			"bytes_sent": float64(c.txBytes), "datagrams_sent": float64(c.txDatagrams), "errors_sent": float64(c.txErrors),
			"no_route": float64(f.noRoute), "session_total": float64(f.sessionN), "idle_timeout": float64(f.idled),
		}},
	}
	for _, l := range f.proxyLogs {
		l.Log(f.loop, &info)
	}
}
