package pool

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/http/http2"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// FailureReason tells why a pool could give no stream.
type FailureReason uint8

const (
	Overflow                FailureReason = iota + 1 // a circuit breaker is open
	LocalConnectionFailure                           // the connection was closed from this side
	RemoteConnectionFailure                          // the peer refused or closed it
	Timeout                                          // connect_timeout
)

// ResetReason is the stream reset that the failure amounts to.
func (r FailureReason) ResetReason() http.ResetReason {
	switch r {
	case Overflow:
		return http.Overflow
	case LocalConnectionFailure:
		return http.LocalConnectionFailure
	case Timeout:
		return http.ConnectionTimeout
	}
	return http.RemoteConnectionFailure
}

// StreamCallbacks is who asked for a stream.
type StreamCallbacks interface {
	// OnPoolReady hands over a stream on conn. It ends by the encoder's and
	// decoder's message ends or ResetStream.
	OnPoolReady(enc http.RequestEncoder, h *cluster.Host, conn *network.Connection, proto http.ProtocolVersion)
	// OnPoolFailure tells that there is none; transportFailure says what the
	// connection died of, or is "". h is nil when too many wait already.
	OnPoolFailure(reason FailureReason, transportFailure string, h *cluster.Host)
}

// Cancellable is a request for a stream or a connection that is not answered
// yet.
type Cancellable interface {
	// Cancel withdraws it: the callbacks will not be called. A connection
	// under way is finished and kept for others.
	Cancel()
}

// HTTP is a pool of connections to one host that carry HTTP requests.
type HTTP interface {
	// NewStream asks for a stream whose response goes to dec. It returns nil
	// when cb was called already.
	NewStream(dec http.ResponseDecoder, cb StreamCallbacks) Cancellable
	Host() *cluster.Host
	// Protocol is the version that streams will have.
	Protocol() http.ProtocolVersion
	// Load is what the pool has to carry.
	Load() Load
	// Preconnect makes a connection for a stream to come, unless ratio times
	// the streams that there are, and that one, have a place already.
	Preconnect(ratio float64) (made bool)
	// Drain closes connections as they become idle and calls done, which may
	// be nil, once none is left. Requests that wait are still served.
	Drain(done func())
	// Close closes all connections at once, under whatever they carry.
	Close()
}

// New makes the empty pool that speaks the protocol, over connections that ask
// that much of their transport sockets; asks may be nil.
func New(o *Owner, h *cluster.Host, prio cluster.Priority, key uint32, proto cluster.Protocol, asks *cluster.TransportOptions) HTTP {
	if proto == cluster.HTTP1 {
		p := NewHTTP1(o, h, prio, key)
		p.asks = asks
		return p
	}
	p := NewHTTP2(o, h, prio, key, proto)
	p.asks = asks
	return p
}

// TCPCallbacks is who asked for a connection. The connection is its own from
// OnPoolReady on: it adds its callbacks, sets the read filter and closes it.
type TCPCallbacks interface {
	OnPoolReady(conn *network.Connection, h *cluster.Host)
	OnPoolFailure(reason FailureReason, transportFailure string, h *cluster.Host)
}

// Dialer starts connections. The default is [Direct]; on a node the agent's
// sockets, made in the downstream's pod, take its place.
type Dialer interface {
	// Key tells which downstream connections may share upstream connections:
	// those with the same key (the pod's number). downstream may be nil.
	Key(downstream *network.Connection) uint32
	// Dial is network.Dial, on behalf of downstream connections with the key.
	Dial(l *network.Loop, key uint32, addr, bind network.Address, so []network.SocketOption, cb network.ConnectionCallbacks, o network.Options) (*network.Connection, error)
}

// Direct dials from the process's own network namespace.
type Direct struct{}

// Key implements Dialer: all share.
func (Direct) Key(*network.Connection) uint32 { return 0 }

// Dial implements Dialer.
func (Direct) Dial(l *network.Loop, _ uint32, addr, bind network.Address, so []network.SocketOption, cb network.ConnectionCallbacks, o network.Options) (*network.Connection, error) {
	return network.Dial(l, addr, bind, so, cb, o)
}

// Owner is what the pools of one cluster on one worker share.
type Owner struct {
	Loop     *network.Loop
	Info     *cluster.Info
	Stats    *cluster.Stats
	Breakers [cluster.NumPriorities]cluster.Breakers
	Dialer   Dialer
	Sheds    func() bool // tells, under load, that a connection is not to be made; nil: all are

	http1      http1.Settings
	http1Stats *stats.Group[cluster.HTTP1Stats] // nil before the first connection
	http2      http2.Settings
	http2Stats *stats.Group[http2.Stats] // likewise
	free       *pending                  // to be used again
	tcp        map[*tcpConn]struct{}     // that stand, where CloseOnHealthFailure asks for it
	tcpPools   map[tcpKey]*tcpPool       // where connections are made ahead
	closed     bool
	nextID     uint64
}

// CloseTCP closes the TCP connections to a host, where the cluster has
// CloseOnHealthFailure.
func (o *Owner) CloseTCP(h *cluster.Host) {
	for c := range o.tcp {
		if c.host == h {
			c.hangUp(network.NoFlush)
		}
	}
}

// Init prepares an owner.
func (o *Owner) Init(l *network.Loop, info *cluster.Info, d Dialer) {
	o.Loop, o.Info, o.Stats, o.Dialer = l, info, info.Stats(l.Worker), d
	for p := range o.Breakers {
		o.Breakers[p] = info.Breakers(cluster.Priority(p), l.Worker)
	}
	if info.HTTP1 != nil {
		o.http1 = *info.HTTP1
	}
	o.http1.BufferLimit = info.BufferLimit
	if info.HTTP2 != nil {
		o.http2 = *info.HTTP2
	} else {
		o.http2 = http2.Defaults()
	}
}

// settings are what HTTP/1 connections share.
func (o *Owner) settings() *http1.Settings {
	if o.http1Stats == nil {
		o.http1Stats = stats.NewGroup[cluster.HTTP1Stats](o.Info.Store, o.Info.StatScope())
		s := o.http1Stats.For(o.Loop.Worker)
		o.http1.Counters = http1.Counters{
			DroppedHeadersWithUnderscores:  (*uint64)(&s.DroppedHeadersWithUnderscores),
			RequestsRejectedWithUnderscore: (*uint64)(&s.RequestsRejectedUnderscores),
			MetadataNotSupported:           (*uint64)(&s.MetadataNotSupported),
			ResponseFlood:                  (*uint64)(&s.ResponseFlood),
		}
	}
	return &o.http1
}

// settings2 are what HTTP/2 connections share.
func (o *Owner) settings2() *http2.Settings {
	if o.http2Stats == nil {
		o.http2Stats = stats.NewGroup[http2.Stats](o.Info.Store, stats.Scope{Prefix: o.Info.StatScope().Prefix + "http2."})
		o.http2.Counters = o.http2Stats.For(o.Loop.Worker).Counters()
	}
	return &o.http2
}

// Close takes the owner's own statistics off the pages, and ends
// preconnecting. What still lives goes on counting.
func (o *Owner) Close() {
	o.closed = true
	if o.http1Stats != nil {
		o.http1Stats.Close()
	}
	if o.http2Stats != nil {
		o.http2Stats.Close()
	}
}
