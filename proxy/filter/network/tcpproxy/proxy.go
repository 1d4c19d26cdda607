package tcpproxy

import (
	"math"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/overload"
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
	up    upstream            // nil until it stands
	conn  *network.Connection // up, or what the tunnel is in; for logs

	target   *target
	cluster  Cluster
	host     *cluster.Host
	pending  pool.Cancellable
	attempts uint32
	flags    streaminfo.Flags
	failure  string // the upstream transport's
	closed   string // why weir closed the connection, for logs
	begun    bool   // connecting has
	over     bool
	flushing bool // the upstream connection has yet to close

	idleAfter time.Duration // 0: never
	idle      event.Timer
	most      *event.Timer // max_downstream_connection_duration
	// periodic logs the connection while it lives; nil without such a log.
	periodic *event.Timer
	retry    *retry // nil before the first
	early    *early // what came before there was an upstream; nil: nothing
}

// upstream takes the downstream connection's bytes: a connection of its own, or
// a tunnel.
type upstream interface {
	// Write takes all of b; end ends this direction.
	Write(b *network.Buffer, end bool)
	ReadDisable(bool)
	// Close ends what is left, since the downstream connection has ended.
	Close(network.CloseType)
}

func (s *settings) newProxy(cb *network.ReadCallbacks) network.ReadFilter {
	c := cb.Connection()
	p := &proxy{s: s, down: c, stats: s.stats.For(c.Loop().Worker), idleAfter: s.idle}
	c.AddCallbacks(p)
	c.EnableHalfClose(true)
	p.stats.CxTotal.Inc() // even if a filter before this one closes it
	c.SetCounters(&network.ByteCounters{Rx: (*uint64)(&p.stats.RxBytes), Tx: (*uint64)(&p.stats.TxBytes)})
	return p
}

// Filter state that a connection's other filters may set for this one.
const (
	// ClusterKey names another cluster than the configured one.
	ClusterKey = "envoy.tcp_proxy.cluster"
	idleKey    = "envoy.tcp_proxy.per_connection_idle_timeout_ms"
)

// state is a text of the connection's filter state.
func (p *proxy) state(key string) (text string, ok bool) {
	if i := p.down.Info; i != nil {
		text, ok = i.FilterState[key].(string)
	}
	return text, ok
}

// OnNewConnection implements network.ReadFilter.
func (p *proxy) OnNewConnection() network.FilterStatus {
	if !p.s.readEarly {
		p.down.ReadDisable(true)
	}
	if d := p.s.duration(); d > 0 {
		p.most = p.down.Loop().NewTimer(p.tooOld)
		p.most.Enable(d)
	}
	if text, ok := p.state(idleKey); ok {
		if ms, err := strconv.ParseUint(text, 10, 32); err == nil {
			p.idleAfter = time.Duration(ms) * time.Millisecond
		}
	}
	p.s.addTLVs(p)
	p.startLogging()
	p.pick()
	switch {
	case p.down.Info != nil && p.down.Info.Partner > 0:
		p.resume()
	case p.s.when == connectOnData:
	case p.s.when == connectOnHandshake && p.down.Transport() != nil:
	default:
		p.connect()
	}
	return network.StopIteration
}

// pick chooses the cluster.
func (p *proxy) pick() {
	p.target = p.s.pick()
	if name, ok := p.state(ClusterKey); ok {
		p.target = &target{name: name, subset: p.target.subset}
	}
}

// fail ends the connection; why is what Envoy says in its logs.
func (p *proxy) fail(flag streaminfo.Flags, why string) {
	p.flags |= flag
	p.closed = why
	p.down.Close(network.NoFlush)
}

// shed ends the connection because the proxy is overloaded.
func (p *proxy) shed() {
	p.stats.OverloadClose.Inc()
	p.fail(streaminfo.OverloadManager, "overload_manager_close")
}

// established begins to carry bytes between downstream and up.
func (p *proxy) established(up upstream, conn *network.Connection) {
	p.pending, p.up, p.conn = nil, up, conn
	// Attempts that failed before this one are forgiven.
	p.flags &^= streaminfo.UpstreamConnectionFailure
	p.failure = ""
	if p.idleAfter > 0 {
		p.down.Loop().InitTimer(&p.idle, p.idled)
		p.idle.Enable(p.idleAfter)
	}
	if p.s.logConnected {
		p.log(streaminfo.LogTCPUpstreamConnected)
	}
}

// flow lets the bytes of downstream through, those first that came early.
func (p *proxy) flow() {
	p.sendEarly()
	if !p.s.readEarly && !p.over {
		p.down.ReadDisable(false)
	}
}

// OnData implements network.ReadFilter.
func (p *proxy) OnData(b *network.Buffer, end bool) network.FilterStatus {
	switch {
	case p.s.shedsData && p.s.overload.Sheds(overload.TCPProxyData):
		b.Reset()
		p.shed()
	case p.up != nil:
		p.up.Write(b, end)
		p.active()
	case p.s.readEarly:
		p.keep(b, end)
	}
	return network.StopIteration
}

// active is called when bytes have gone either way.
func (p *proxy) active() {
	if p.over {
		return
	}
	if p.idleAfter > 0 {
		p.idle.Enable(p.idleAfter)
	}
	if p.s.checkDrain && p.s.drain.DrainClose(p.down.Loop()) {
		p.stats.DrainClose.Inc()
		p.down.Close(network.FlushWrite)
	}
}

func (p *proxy) idled() {
	p.stats.IdleTimeout.Inc()
	p.fail(0, "tcp_session_idle_timeout")
}

func (p *proxy) tooOld() {
	p.stats.MaxDuration.Inc()
	p.fail(streaminfo.DurationTimeout, "max_connection_duration_reached")
}

// OnEvent implements network.ConnectionCallbacks for downstream.
func (p *proxy) OnEvent(ev network.ConnectionEvent) {
	if ev == network.Connected {
		if p.s.when == connectOnHandshake && !p.begun {
			p.connect()
		}
		return
	}
	if p.over {
		return
	}
	p.over = true
	switch {
	case p.up != nil && ev == network.RemoteClose && p.down.PeerReset():
		p.up.Close(network.Abort)
	case p.up != nil && ev == network.RemoteClose:
		p.flush()
	case p.up != nil:
		p.up.Close(network.NoFlush)
	case p.pending != nil:
		p.flags |= p.abandoned()
		p.pending.Cancel()
	}
	p.finish()
}

// flush ends the upstream behind what the client has sent. It may take its time:
// the idle timeout, from byte to byte.
func (p *proxy) flush() {
	if c, ok := p.up.(*network.Connection); ok {
		patience := uint32(math.MaxUint32)
		if p.idleAfter > 0 {
			patience = uint32(min(p.idleAfter.Milliseconds(), math.MaxUint32))
		}
		c.SetDelayedClose(max(patience, 1))
		p.flushing = true
		p.stats.FlushActive.Inc()
	}
	p.up.Close(network.FlushWrite)
	if p.flushing {
		p.stats.UpstreamFlush.Inc()
	}
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

// upstreamFull and upstreamDrained tell that the upstream takes no more, and
// that it does again.
func (p *proxy) upstreamFull() {
	if !p.over {
		p.stats.PausedReading.Inc()
		p.down.ReadDisable(true)
	}
}

func (p *proxy) upstreamDrained() {
	if !p.over {
		p.stats.Resumed.Inc()
		p.down.ReadDisable(false)
	}
}

// HashKey implements lb.Context.
func (p *proxy) HashKey() (uint64, bool) {
	if p.s.hashState != "" {
		text, ok := p.state(p.s.hashState)
		return xxhash.Sum64String(text), ok
	}
	if !p.s.hashSource || !p.down.RemoteAddress().IsSet() {
		return 0, false
	}
	var text [64]byte
	return xxhash.Sum64(p.down.RemoteAddress().Addr().AppendTo(text[:0])), true
}

// DownstreamConnection implements lb.Context.
func (p *proxy) DownstreamConnection() *network.Connection { return p.down }

// MetadataMatch implements lb.Context.
func (p *proxy) MetadataMatch() []lb.MetadataCriterion {
	if i := p.down.Info; i != nil && len(i.Metadata[subsetNamespace]) > 0 {
		return lb.MergeCriteria(p.target.subset, i.Metadata[subsetNamespace])
	}
	return p.target.subset
}
