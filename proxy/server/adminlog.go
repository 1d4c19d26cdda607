package server

import (
	"net/netip"
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	filev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/admin"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// adminAccess writes the admin interface's access log; nil without one.
func (s *server) adminAccess() (func(admin.Access), error) {
	c := s.bootstrap.GetAdmin()
	list, p := c.GetAccessLog(), field.Path("admin.access_log")
	//lint:ignore SA1019 most bootstraps still have it
	if path := c.GetAccessLogPath(); path != "" {
		list = append([]*accesslogv3.AccessLog{}, list...)
		list = append(list, &accesslogv3.AccessLog{Name: "envoy.access_loggers.file", ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: pack(&filev3.FileAccessLog{Path: path})}})
	}
	if len(list) == 0 {
		return nil, nil
	}
	logs, err := accesslog.Compile(p, list, s.logOptions())
	if err != nil {
		return nil, err
	}
	// Loggers belong to loops: main's is as good as any.
	return func(a admin.Access) {
		s.loops[0].Post(func() {
			c := adminContext(a, s.loops[0])
			for _, l := range logs {
				l.Log(0, c)
			}
		})
	}, nil
}

// adminContext is an admin request as a log format sees it.
func adminContext(a admin.Access, loop *network.Loop) *formatter.Context {
	r, now, took := a.Request, loop.Now(), time.Since(a.Begun)
	c := &formatter.Context{Now: now, Time: loop.Time(), RequestHeaders: &http.HeaderMap{}, ResponseHeaders: &http.HeaderMap{}}
	c.Info = &streaminfo.Info{
		LogType: streaminfo.LogDownstreamEnd, Start: a.Begun, Begin: now - took, End: now, Protocol: r.Proto,
		ResponseCode: a.Status, BytesSent: a.Sent,
	}
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Info.DownstreamRemote = network.Address{AddrPort: from}
		c.Info.DownstreamDirectRemote = c.Info.DownstreamRemote
	}
	h := c.RequestHeaders
	h.Add(http.Authority, r.Host)
	h.Add(http.Path, r.URL.RequestURI())
	h.Add(http.Method, r.Method)
	h.Add(http.Scheme, "http")
	for name, values := range r.Header {
		for _, v := range values {
			h.AddName(strings.ToLower(name), v)
		}
	}
	return c
}
