package health

import (
	"strings"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// dial connects to the session's host; cb is told of what happens, f sees what
// arrives.
func (s *session) dial(cb network.ConnectionCallbacks, f network.ReadFilter) (*network.Connection, error) {
	info, addr := s.c.o.Info, s.address()
	var transport network.TransportSocket
	if info.Transport != nil {
		asks := cluster.TransportOptions{Protocols: strings.Join(s.c.cfg.ALPN, ",")}
		if s.c.cfg.TCP == nil && s.c.cfg.http2() {
			asks.Fallback = "h2"
		}
		transport = info.Transport.Socket(s.c.o.Main, s.host, asks)
	}
	conn, err := s.c.o.Dialer.Dial(s.c.o.Main, 0, addr, info.Socket.BindFor(addr), info.Socket.Sockopts(), cb, network.Options{
		Transport: transport, BufferLimit: info.BufferLimit,
	})
	if err != nil {
		return nil, err
	}
	conn.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return f }})
	return conn, nil
}
