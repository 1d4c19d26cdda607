package http2

import (
	"time"

	"github.com/weirproxy/weir/proxy/stats"
)

// UnderscoreAction is what becomes of field names with underscores
// (HttpProtocolOptions.headers_with_underscores_action).
type UnderscoreAction uint8

const (
	AllowUnderscores UnderscoreAction = iota
	RejectUnderscores
	DropUnderscores
)

// Envoy's defaults of Http2ProtocolOptions.
const (
	DefaultTableSize        = 4096
	DefaultMaxStreams       = 1024
	DefaultStreamWindow     = 16 << 20
	DefaultConnectionWindow = 24 << 20

	DefaultMaxOutboundFrames        = 10000
	DefaultMaxOutboundControlFrames = 1000
	DefaultMaxEmptyFrames           = 1
	DefaultMaxPriorityFrames        = 100
	DefaultMaxWindowUpdates         = 10
	DefaultResetBurst               = 1000
	DefaultResetRate                = 33
)

// Settings are what the codecs of a listener or cluster share; they never
// change once a codec has them. They belong to one worker, as the counters
// do. Defaults gives Envoy's.
type Settings struct {
	MaxHeadersKB    uint32 // decoded bytes/1024 of a header section
	MaxHeadersCount uint32 // its lines
	MaxFieldKB      uint32 // one line of it; 0: no bound of its own

	TableSize        uint32 // HPACK dynamic table in bytes, both ways
	MaxStreams       uint32 // concurrent streams that a peer may open, or that a client opens
	StreamWindow     uint32 // bytes a peer may send on a stream
	ConnectionWindow uint32 // and on the connection

	Underscores UnderscoreAction
	// AllowConnect announces extended CONNECT (RFC 8441).
	AllowConnect bool
	// StreamErrors ends the stream, not the connection, of a malformed message
	// (override_stream_error_on_invalid_http_message).
	StreamErrors bool
	// NoObsText refuses field values with bytes above 0x7f.
	NoObsText bool

	// Bounds of floods; see flood.go.
	MaxOutboundFrames        uint32
	MaxOutboundControlFrames uint32
	MaxEmptyFrames           uint32
	MaxPriorityFrames        uint32
	MaxWindowUpdates         uint32
	ResetBurst, ResetRate    uint64 // RST_STREAM frames received: at once, and a second

	// FlushTimeout ends a stream whose peer takes nothing of its last bytes
	// for so long; 0: never.
	FlushTimeout time.Duration
	// ReduceFlush is what is left of such a timeout under the load of the
	// moment, and after which time to ask again; nil: all of it.
	ReduceFlush func(full time.Duration) (reduced, again time.Duration)
	KeepAlive   KeepAlive
	// Extra are further SETTINGS parameters to send (custom_settings_parameters).
	Extra []Setting

	Counters Counters

	pool streamPool
}

// Setting is one SETTINGS parameter.
type Setting struct {
	ID    uint16
	Value uint32
}

// KeepAlive is when a connection is probed by PING
// (Http2ProtocolOptions.connection_keepalive).
type KeepAlive struct {
	Interval      time.Duration // 0: never
	Timeout       time.Duration // an answer must come within
	JitterPercent float64       // of the interval, added at random
	// IdleInterval probes a connection before a stream is started on it after
	// so long a silence; 0: never.
	IdleInterval time.Duration
}

// Defaults are Envoy's settings.
func Defaults() Settings {
	return Settings{
		MaxHeadersKB: 60, MaxHeadersCount: 100,
		TableSize: DefaultTableSize, MaxStreams: DefaultMaxStreams,
		StreamWindow: DefaultStreamWindow, ConnectionWindow: DefaultConnectionWindow,
		MaxOutboundFrames: DefaultMaxOutboundFrames, MaxOutboundControlFrames: DefaultMaxOutboundControlFrames,
		MaxEmptyFrames: DefaultMaxEmptyFrames, MaxPriorityFrames: DefaultMaxPriorityFrames, MaxWindowUpdates: DefaultMaxWindowUpdates,
		ResetBurst: DefaultResetBurst, ResetRate: DefaultResetRate,
	}
}

// Counters are Envoy's http2.* statistics; nil ones are not counted.
type Counters struct {
	DroppedHeadersWithUnderscores   *uint64
	RequestsRejectedWithUnderscores *uint64
	GoAwaySent                      *uint64
	HeaderOverflow                  *uint64
	InboundEmptyFramesFlood         *uint64
	InboundPriorityFramesFlood      *uint64
	InboundWindowUpdateFramesFlood  *uint64
	KeepaliveTimeout                *uint64
	OutboundControlFlood            *uint64
	OutboundFlood                   *uint64
	RxMessagingError                *uint64
	RxReset                         *uint64
	StreamRefusedErrors             *uint64
	Trailers                        *uint64
	TxFlushTimeout                  *uint64
	TxReset                         *uint64
	TooManyPrematureResets          *uint64 // the connection manager's

	StreamsActive    *stats.Gauge
	PendingSendBytes *stats.Gauge
}

func count(c *uint64) {
	if c != nil {
		*c++
	}
}

func gauge(g *stats.Gauge, n int) {
	if g != nil && n != 0 {
		g.Add(int64(n))
	}
}

func (s *Settings) maxHead() int { return int(s.MaxHeadersKB) << 10 }
