package snidynamicforward

import (
	"strconv"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
)

type settings struct {
	cache *dnscache.Cache
	port  uint16
}

func (s *settings) newFilter(cb *network.ReadCallbacks) network.ReadFilter {
	return &filter{settings: s, cb: cb}
}

// filter holds one connection back.
type filter struct {
	network.NoWatermarks
	*settings
	cb   *network.ReadCallbacks
	wait *dnscache.Wait // nil when nothing is waited for
}

// portKey is where the cluster finds the port, in the connection's filter
// state.
const portKey = "envoy.upstream.dynamic_port"

// OnNewConnection implements network.ReadFilter.
func (f *filter) OnNewConnection() network.FilterStatus {
	conn := f.cb.Connection()
	info := conn.EnsureInfo()
	if info.ServerName == "" {
		return network.Continue
	}
	info.SetFilterState(portKey, strconv.Itoa(int(f.port)))
	_, wait, status := f.cache.Load(info.ServerName, f.port, conn.Loop(), f.answered)
	switch status {
	case dnscache.Ready:
		return network.Continue
	case dnscache.Loading:
		f.wait = wait
		conn.AddCallbacks(f)
	default:
		conn.Close(network.NoFlush)
	}
	return network.StopIteration
}

// answered goes on whatever the answer was: the cluster has no host without
// an address.
func (f *filter) answered(*dnscache.Entry) {
	f.wait = nil
	f.cb.ContinueReading()
}

// OnData implements network.ReadFilter.
func (f *filter) OnData(*network.Buffer, bool) network.FilterStatus {
	if f.wait != nil {
		return network.StopIteration
	}
	return network.Continue
}

// OnEvent implements network.ConnectionCallbacks.
func (f *filter) OnEvent(network.ConnectionEvent) {
	if f.wait != nil {
		f.wait.Cancel()
		f.wait = nil
	}
}
