package tcpproxy

import (
	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/proxy/upstream/pool"
)

// proxy is the filter of one connection. It is a ReadFilter and watches the
// downstream connection; as an upSide it does both for the upstream one.
type proxy struct {
	lb.NoContext
	s     *settings
	stats *Stats
	down  *network.Connection
	up    *network.Connection // nil until it stands

	name     string // the cluster's
	cluster  Cluster
	host     *cluster.Host
	pending  pool.Cancellable
	attempts uint32
	flags    streaminfo.Flags
	failure  string // the upstream transport's
	// The reasons for which it closed each side, as Envoy words them.
	downReason, upReason string
	over                 bool

	idle event.Timer
	most *event.Timer // max_downstream_connection_duration
	// periodic logs the connection while it lives; nil without such a log.
	periodic *event.Timer
}

func (s *settings) newProxy(cb *network.ReadCallbacks) network.ReadFilter {
	c := cb.Connection()
	p := &proxy{s: s, down: c, stats: s.stats.For(c.Loop().Worker)}
	c.AddCallbacks(p)
	c.EnableHalfClose(true)
	return p
}

// ClusterKey is the filter state that names another cluster than the
// configured one.
const ClusterKey = "envoy.tcp_proxy.cluster"

// OnNewConnection implements network.ReadFilter.
func (p *proxy) OnNewConnection() network.FilterStatus {
	p.stats.CxTotal.Inc()
	p.down.SetCounters(&network.ByteCounters{Rx: (*uint64)(&p.stats.RxBytes), Tx: (*uint64)(&p.stats.TxBytes)})
	p.down.ReadDisable(true)
	if p.s.maxDuration > 0 {
		p.most = p.down.Loop().NewTimer(p.tooOld)
		p.most.Enable(p.s.maxDuration)
	}
	p.startLogging()
	p.name = p.s.pick()
	if i := p.down.Info; i != nil {
		if name, ok := i.FilterState[ClusterKey].(string); ok {
			p.name = name
		}
	}
	p.connect()
	return network.StopIteration
}

// connect makes the next attempt to reach a host.
func (p *proxy) connect() {
	if p.cluster = p.s.find(p.down.Loop(), p.name); p.cluster == nil {
		p.stats.CxNoRoute.Inc()
		p.failToStart(streaminfo.NoClusterFound, noRoute)
		return
	}
	if p.attempts >= p.s.attempts {
		p.cluster.Stats().UpstreamCxAttemptsExceed.Inc()
		p.failToStart(streaminfo.UpstreamRetryLimitExceeded, noConnection)
		return
	}
	if p.host = p.cluster.ChooseHost(p); p.host == nil {
		p.failToStart(streaminfo.NoHealthyUpstream, noHost)
		return
	}
	p.attempts++
	// A failure at once has called back already, and may have tried again.
	if c := p.cluster.TCPConnect(p.host, cluster.Default, p.down, p); c != nil {
		p.pending = c
	}
}

// Why a connection reached no host, as Envoy numbers it.
const (
	noConnection = "tcp_initializion_failure:0"
	noHost       = "tcp_initializion_failure:1"
	overflowing  = "tcp_initializion_failure:2"
	noRoute      = "tcp_initializion_failure:3"
)

// failToStart ends a connection for which no host can be tried.
func (p *proxy) failToStart(flag streaminfo.Flags, why string) {
	p.downReason = why
	p.flags |= flag
	p.down.Close(network.NoFlush)
}

// expire ends a connection whose time is over.
func (p *proxy) expire(flag streaminfo.Flags, why string) {
	p.flags |= flag
	p.downReason, p.upReason = why, why
	p.down.Close(network.NoFlush)
}

// OnPoolFailure implements pool.TCPCallbacks.
func (p *proxy) OnPoolFailure(reason pool.FailureReason, transportFailure string, h *cluster.Host) {
	p.pending, p.host, p.failure = nil, h, transportFailure
	switch reason {
	case pool.Overflow:
		p.attempts--
		p.host = nil
		p.failToStart(streaminfo.UpstreamOverflow, overflowing)
		return
	case pool.RemoteConnectionFailure:
		p.flags |= streaminfo.UpstreamConnectionFailure
		h.Monitor().Failed(p.down.Loop().Worker)
	case pool.Timeout:
		p.flags |= streaminfo.UpstreamConnectionFailure
		h.Monitor().TimedOut(p.down.Loop().Worker, 504)
	}
	if p.attempts < p.s.attempts {
		p.name = p.s.pick()
		if i := p.down.Info; i != nil {
			if name, ok := i.FilterState[ClusterKey].(string); ok {
				p.name = name
			}
		}
	}
	p.connect()
}

// OnPoolReady implements pool.TCPCallbacks.
func (p *proxy) OnPoolReady(c *network.Connection, h *cluster.Host) {
	p.pending, p.up, p.host = nil, c, h
	h.Monitor().Connected(c.Loop().Worker, true)
	// Attempts that failed before this one are forgiven.
	p.flags &^= streaminfo.UpstreamConnectionFailure
	p.failure = ""
	c.EnableHalfClose(true)
	c.AddCallbacks((*upSide)(p))
	c.BuildFilters([]network.FilterFactory{func(*network.ReadCallbacks) network.ReadFilter { return (*upSide)(p) }})
	if p.down.Splicable() && c.Splicable() {
		p.down.AllowSplice(everything)
		c.AllowSplice(everything)
	}
	if p.s.idle > 0 {
		c.Loop().InitTimer(&p.idle, p.idled)
		p.idle.Enable(p.s.idle)
	}
	if p.s.logConnected {
		p.log(streaminfo.LogTCPUpstreamConnected)
	}
	c.Start()
	p.down.ReadDisable(false)
}

const everything = 1 << 62

// OnData implements network.ReadFilter.
func (p *proxy) OnData(b *network.Buffer, end bool) network.FilterStatus {
	if p.up != nil {
		p.up.Write(b, end)
		p.active()
	}
	return network.StopIteration
}

func (p *proxy) active() {
	if p.s.idle > 0 {
		p.idle.Enable(p.s.idle)
	}
}

func (p *proxy) idled() {
	p.stats.IdleTimeout.Inc()
	p.expire(0, "tcp_session_idle_timeout")
}

func (p *proxy) tooOld() {
	p.stats.MaxDuration.Inc()
	p.expire(streaminfo.DurationTimeout, "max_connection_duration_reached")
}

// OnEvent implements network.ConnectionCallbacks for downstream.
func (p *proxy) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected || p.over {
		return
	}
	p.over = true
	switch {
	case p.up != nil && ev == network.RemoteClose && p.down.PeerReset():
		p.up.Close(network.Abort)
	case p.up != nil && ev == network.RemoteClose:
		p.up.Close(network.FlushWrite) // what the client has sent still arrives
	case p.up != nil:
		p.up.Close(network.NoFlush)
	case p.pending != nil:
		p.flags |= streaminfo.DownstreamConnectionTermination
		p.pending.Cancel()
	}
	p.finish()
}

// OnAboveWriteBufferHighWatermark implements network.ConnectionCallbacks:
// downstream takes no more.
func (p *proxy) OnAboveWriteBufferHighWatermark() {
	if p.up != nil {
		p.cluster.Stats().UpstreamFlowControlPaused.Inc()
		p.up.ReadDisable(true)
	}
}

// OnBelowWriteBufferLowWatermark implements network.ConnectionCallbacks.
func (p *proxy) OnBelowWriteBufferLowWatermark() {
	if p.up != nil {
		p.cluster.Stats().UpstreamFlowControlResumed.Inc()
		p.up.ReadDisable(false)
	}
}

// HashKey implements lb.Context.
func (p *proxy) HashKey() (uint64, bool) {
	if !p.s.hashSource || !p.down.RemoteAddress().IsSet() {
		return 0, false
	}
	var text [64]byte
	return xxhash.Sum64(p.down.RemoteAddress().Addr().AppendTo(text[:0])), true
}

// DownstreamConnection implements lb.Context.
func (p *proxy) DownstreamConnection() *network.Connection { return p.down }
