package streaminfo

import (
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// Info is one stream's facts. Times are by the worker's monotonic clock
// (event.Dispatcher.Now); 0 stands for "has not happened". It is part of the
// stream's own memory and is reset with it: strings in it may lie in header
// maps, so what is kept longer is cloned.
type Info struct {
	Conn     *network.Connection // downstream; nil for streams that weir starts
	Start    time.Time           // wall clock
	Begin    time.Duration       // when the request's first byte was seen
	Protocol string              // "HTTP/1.1"; "" for TCP

	LastDownstreamRxByte  time.Duration // request received whole
	FirstUpstreamTxByte   time.Duration
	LastUpstreamTxByte    time.Duration
	FirstUpstreamRxByte   time.Duration
	LastUpstreamRxByte    time.Duration
	FirstDownstreamTxByte time.Duration
	LastDownstreamTxByte  time.Duration
	End                   time.Duration // stream complete

	ResponseCode        int
	ResponseCodeDetails string
	TerminationDetails  string // connection termination details
	Flags               Flags

	BytesReceived          uint64 // body bytes from downstream
	BytesSent              uint64 // body bytes to downstream
	HeaderBytesReceived    uint64
	HeaderBytesSent        uint64
	WireBytesReceived      uint64
	WireBytesSent          uint64
	UpstreamBytesReceived  uint64 // wire
	UpstreamBytesSent      uint64
	UpstreamHeaderReceived uint64
	UpstreamHeaderSent     uint64

	RouteName       string
	VirtualHost     string
	Cluster         string // the upstream cluster's name
	ClusterStatName string // its observability name
	RequestID       string
	FilterChain     string

	DownstreamLocal        network.Address
	DownstreamDirectLocal  network.Address
	DownstreamRemote       network.Address // after XFF
	DownstreamDirectRemote network.Address
	RequestedServerName    string

	UpstreamHost     network.Address
	UpstreamHostname string
	UpstreamLocal    network.Address
	UpstreamFailure  string // transport failure reason
	UpstreamProtocol string
	UpstreamConnID   uint64
	AttemptCount     int
	UpstreamMetadata map[string]map[string]any // of the host

	// Metadata is dynamic metadata by namespace; RouteMetadata and
	// ClusterMetadata are configured. FilterState is by name.
	Metadata        map[string]map[string]any
	RouteMetadata   map[string]map[string]any
	ClusterMetadata map[string]map[string]any
	FilterState     map[string]any

	HealthCheck bool // a health-check request
	Trace       bool // sampled
}

// SetFlag adds a response flag.
func (i *Info) SetFlag(f Flags) { i.Flags |= f }

// SetMetadata sets one key of dynamic metadata.
func (i *Info) SetMetadata(namespace, key string, value any) {
	if i.Metadata == nil {
		i.Metadata = make(map[string]map[string]any)
	}
	m := i.Metadata[namespace]
	if m == nil {
		m = make(map[string]any)
		i.Metadata[namespace] = m
	}
	m[key] = value
}

// Duration is how long the stream has taken, or took.
func (i *Info) Duration(now time.Duration) time.Duration {
	if i.End != 0 {
		return i.End - i.Begin
	}
	return now - i.Begin
}
