package udpproxy

import (
	"net/netip"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// Cluster is what the filter needs of a worker's cluster.
type Cluster interface {
	Info() *cluster.Info
	Stats() *cluster.Stats
	Breakers(cluster.Priority) cluster.Breakers
	Hosts() *cluster.PrioritySet
	ChooseHost(lb.Context) *cluster.Host
}

// Find looks a cluster up in the table of a loop's worker; nil when there is
// none of that name. The same cluster is the same value.
type Find func(l *network.Loop, name string) Cluster

// settings is one compiled filter, shared by the workers.
type settings struct {
	find           Find
	cluster        string
	matcher        *tree.Tree[string] // instead of cluster
	idle           time.Duration
	originalSource bool
	perPacket      bool
	hash           func(source netip.Addr) uint64 // nil: hosts are chosen without
	maxSize        int                            // of an answer, in bytes
	gro            bool
	logs           []listener.AccessLog // a line for each session
	proxyLogs      []listener.AccessLog // a line for each socket of the listener
	logEvery       time.Duration        // 0: at the session's end only
	stats          *stats.Group[Stats]
}

func hashSource(a netip.Addr) uint64 {
	var text [64]byte
	return xxhash.Sum64(a.AppendTo(text[:0]))
}

// Stats are a filter's, at udp.<stat_prefix>.
type Stats struct {
	Total         stats.Counter `stat:"downstream_sess_total"`
	Active        stats.Gauge   `stat:"downstream_sess_active"`
	NoRoute       stats.Counter `stat:"downstream_sess_no_route"`
	RxBytes       stats.Counter `stat:"downstream_sess_rx_bytes"`
	RxDatagrams   stats.Counter `stat:"downstream_sess_rx_datagrams"`
	RxErrors      stats.Counter `stat:"downstream_sess_rx_errors"`
	TxBytes       stats.Counter `stat:"downstream_sess_tx_bytes"`
	TxDatagrams   stats.Counter `stat:"downstream_sess_tx_datagrams"`
	TxErrors      stats.Counter `stat:"downstream_sess_tx_errors"`
	IdleTimeout   stats.Counter `stat:"idle_timeout"`
	ConfigMissing stats.Counter `stat:"session_filter_config_missing"`
}

// ClusterStats are a cluster's that UDP goes to, at cluster.<name>.udp.
type ClusterStats struct {
	RxDatagrams    stats.Counter `stat:"sess_rx_datagrams"`
	RxDropped      stats.Counter `stat:"sess_rx_datagrams_dropped"`
	RxErrors       stats.Counter `stat:"sess_rx_errors"`
	TunnelOverflow stats.Counter `stat:"sess_tunnel_buffer_overflow"`
	TunnelFailure  stats.Counter `stat:"sess_tunnel_failure"`
	TunnelSuccess  stats.Counter `stat:"sess_tunnel_success"`
	TxDatagrams    stats.Counter `stat:"sess_tx_datagrams"`
	TxErrors       stats.Counter `stat:"sess_tx_errors"`
}
