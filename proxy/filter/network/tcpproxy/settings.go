package tcpproxy

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Cluster is what the filter needs of a worker's cluster.
type Cluster interface {
	Info() *cluster.Info
	Stats() *cluster.Stats
	ChooseHost(lb.Context) *cluster.Host
	TCPConnect(h *cluster.Host, p cluster.Priority, down *network.Connection, cb pool.TCPCallbacks) pool.Cancellable
}

// Find looks a cluster up in the table of a loop's worker; nil when there is
// none of that name.
type Find func(l *network.Loop, name string) Cluster

// settings is one compiled filter, shared by the workers.
type settings struct {
	find                   Find
	clusters               []weighted
	total                  uint64        // of the weights
	idle                   time.Duration // 0: never
	maxDuration            time.Duration // 0: none
	attempts               uint32
	hashSource             bool // hash_policy: source_ip
	logs                   []listener.AccessLog
	logStart, logConnected bool
	logEvery               time.Duration // 0: at the end only
	stats                  *stats.Group[Stats]
	chain                  string
	listener               string
}

type weighted struct {
	name string
	upTo uint64 // the weights up to here
}

// pick draws a cluster by weight.
func (s *settings) pick() string {
	if len(s.clusters) == 1 {
		return s.clusters[0].name
	}
	n := rand.Uint64N(s.total)
	for _, c := range s.clusters {
		if n < c.upTo {
			return c.name
		}
	}
	return ""
}

// Stats are a filter's, at tcp.<stat_prefix>.
type Stats struct {
	CxTotal       stats.Counter `stat:"downstream_cx_total"`
	CxNoRoute     stats.Counter `stat:"downstream_cx_no_route"`
	RxBytes       stats.Counter `stat:"downstream_cx_rx_bytes_total"`
	TxBytes       stats.Counter `stat:"downstream_cx_tx_bytes_total"`
	PausedReading stats.Counter `stat:"downstream_flow_control_paused_reading_total"`
	Resumed       stats.Counter `stat:"downstream_flow_control_resumed_reading_total"`
	IdleTimeout   stats.Counter `stat:"idle_timeout"`
	MaxDuration   stats.Counter `stat:"max_downstream_connection_duration"`
	UpstreamFlush stats.Counter `stat:"upstream_flush_total"`
	RxBuffered    stats.Gauge   `stat:"downstream_cx_rx_bytes_buffered"`
	TxBuffered    stats.Gauge   `stat:"downstream_cx_tx_bytes_buffered"`
	FlushActive   stats.Gauge   `stat:"upstream_flush_active"`
}
