package tcpproxy

import (
	"math/rand/v2"
	"time"

	"github.com/weirproxy/weir/proxy/listener"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// Cluster is what the filter needs of a worker's cluster.
type Cluster interface {
	Info() *cluster.Info
	Stats() *cluster.Stats
	Breakers(cluster.Priority) cluster.Breakers
	ChooseHost(lb.Context) *cluster.Host
	TCPConnect(h *cluster.Host, p cluster.Priority, down *network.Connection, cb pool.TCPCallbacks) pool.Cancellable
	TCPResume(fd int, ctx lb.Context, p cluster.Priority, cb pool.TCPCallbacks) pool.Cancellable
	HTTPPool(h *cluster.Host, p cluster.Priority, down *network.Connection, protocol string) pool.HTTP
}

// Find looks a cluster up in the table of a loop's worker; nil when there is
// none of that name.
type Find func(l *network.Loop, name string) Cluster

// settings is one compiled filter, shared by the workers.
type settings struct {
	find        Find
	targets     []target
	total       uint64        // of the weights
	idle        time.Duration // 0: never
	maxDuration time.Duration // 0: none
	jitter      float64       // the share of maxDuration that may come on top
	attempts    uint32
	backoff     backoff    // base 0: none
	tunnel      *tunneling // nil: a connection for each connection
	tlvs        []tlv
	tlvMerge    mergePolicy
	hashSource  bool   // hash_policy: source_ip
	hashState   string // hash_policy: the key of a filter state

	when       connectWhen
	readEarly  bool   // read from the client before there is an upstream
	earlyLimit uint32 // bytes of that

	overload               *overload.Manager
	shedsData              bool // connections may end with the next bytes
	checkDrain             bool
	drain                  listener.DrainDecision
	logs                   []listener.AccessLog
	logStart, logConnected bool
	logEvery               time.Duration // 0: at the end only
	stats                  *stats.Group[Stats]
	chain                  string
	listener               string
}

// target is a cluster to choose.
type target struct {
	name   string
	subset []lb.MetadataCriterion // of its hosts
	upTo   uint64                 // the weights up to here
}

// pick draws a target by weight.
func (s *settings) pick() *target {
	if len(s.targets) > 1 {
		n := rand.Uint64N(s.total)
		for i := range s.targets {
			if n < s.targets[i].upTo {
				return &s.targets[i]
			}
		}
	}
	return &s.targets[0]
}

// duration is the most that a new connection may last; 0: for ever.
func (s *settings) duration() time.Duration {
	d := s.maxDuration
	if most := int64(float64(d) * s.jitter); most > 0 {
		d += time.Duration(rand.Int64N(most))
	}
	return d
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
	EarlyData     stats.Counter `stat:"early_data_received_count_total"`
	DrainClose    stats.Counter `stat:"downstream_cx_drain_close"`
	OverloadClose stats.Counter `stat:"downstream_cx_overload_close"`
	RouteDelayed  stats.Counter `stat:"route_delayed_total"` // by the mode of connecting
}
