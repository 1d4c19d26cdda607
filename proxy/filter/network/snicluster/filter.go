package snicluster

import (
	"github.com/weirproxy/weir/proxy/filter/network/tcpproxy"
	"github.com/weirproxy/weir/proxy/network"
)

type filter struct{ conn *network.Connection }

// OnNewConnection implements network.ReadFilter.
func (f filter) OnNewConnection() network.FilterStatus {
	if i := f.conn.Info; i != nil && i.ServerName != "" {
		i.SetFilterState(tcpproxy.ClusterKey, i.ServerName)
	}
	return network.Continue
}

// OnData implements network.ReadFilter.
func (filter) OnData(*network.Buffer, bool) network.FilterStatus { return network.Continue }
