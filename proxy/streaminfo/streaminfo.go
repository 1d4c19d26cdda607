package streaminfo

import (
	"maps"
	"math/bits"
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// Info is one stream's facts. Times are by the worker's monotonic clock
// (event.Dispatcher.Now); 0 stands for "has not happened". It is part of the
// stream's own memory and is reset with it: strings in it may lie in header
// maps, so what is kept longer is cloned.
type Info struct {
	LogType LogType // what is being logged, set before that

	Conn     *network.Connection // downstream; nil for streams that weir starts
	Start    time.Time           // wall clock
	Begin    time.Duration       // when the request's first byte was seen
	Protocol string              // "HTTP/1.1"; "" for TCP

	LastDownstreamRxByte  time.Duration // request received whole
	UpstreamPoolAsked     time.Duration // a pool was asked for a stream
	UpstreamPoolReady     time.Duration // and gave it
	UpstreamConnectBegin  time.Duration // of the upstream connection in use,
	UpstreamConnectEnd    time.Duration // as old as that is
	UpstreamHandshakeEnd  time.Duration
	FirstUpstreamTxByte   time.Duration
	LastUpstreamTxByte    time.Duration
	FirstUpstreamRxByte   time.Duration
	FirstUpstreamRxBody   time.Duration
	LastUpstreamRxByte    time.Duration
	FirstDownstreamTxByte time.Duration
	LastDownstreamTxByte  time.Duration
	LastDownstreamAck     time.Duration // HTTP/3
	End                   time.Duration // stream complete

	ResponseCode        int
	ResponseCodeDetails string
	DrainConnection     bool   // the connection is to end with this stream
	NoDetails           bool   // the details are known to be none
	TerminationDetails  string // connection termination details
	Flags               Flags  // set by SetFlag
	flagOrder           uint64
	CustomFlags         string // comma-separated

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

	// Header bytes before HPACK; in HTTP/1 the same as on the wire.
	DecompressedHeaderReceived         uint64
	DecompressedHeaderSent             uint64
	UpstreamDecompressedHeaderReceived uint64
	UpstreamDecompressedHeaderSent     uint64

	RouteName       string
	VirtualHost     string
	VirtualCluster  string
	Cluster         string // the upstream cluster's name
	ClusterStatName string // its observability name
	RequestID       string // %STREAM_ID%
	TraceID, SpanID string // of the active span, hex
	FilterChain     string
	Listener        string

	// Node is the proxy's own, by the fields of envoy.config.core.v3.Node;
	// Direction is the listener's traffic_direction: 1 inbound, 2 outbound.
	Node      map[string]any
	Direction uint8

	DownstreamLocal        network.Address
	DownstreamDirectLocal  network.Address
	DownstreamRemote       network.Address // after XFF
	DownstreamDirectRemote network.Address
	RequestedServerName    string
	JA3, JA4               string // fingerprints of the TLS hello
	DownstreamFailure      string // transport failure reason
	DownstreamLocalClose   string // why weir closed the connection
	DownstreamCloseType    string // "Normal", "LocalReset", "RemoteReset"

	UpstreamHost       network.Address // the host's address
	UpstreamHostname   string
	UpstreamLocal      network.Address
	UpstreamRemote     network.Address // what was connected to; unset: UpstreamHost
	UpstreamServerName string          // SNI sent
	UpstreamTLS        network.TLSInfo // nil on a plain connection
	UpstreamFailure    string          // transport failure reason
	UpstreamLocalClose string
	UpstreamCloseType  string
	UpstreamProtocol   string
	UpstreamConnID     uint64
	AttemptCount       int
	Attempts           []Attempt
	UpstreamMetadata   map[string]map[string]any // of the host
	UpstreamLocality   [3]string                 // its region, zone and sub-zone

	// Metadata is dynamic metadata by namespace; the others are configured.
	// Values are what structpb.Value.AsInterface makes: string, float64,
	// bool, nil, map[string]any, []any.
	Metadata            map[string]map[string]any
	spare               []map[string]any // for namespaces to come
	TypedMetadata       map[string]TypedMessage
	RouteMetadata       map[string]map[string]any
	VirtualHostMetadata map[string]map[string]any
	ClusterMetadata     map[string]map[string]any
	ListenerMetadata    map[string]map[string]any
	FilterChainMetadata map[string]map[string]any

	// FilterState is by name; see FilterStateObject. It begins as the
	// connection's: SetFilterState changes it.
	FilterState map[string]any
	// OverrideHost is the address of the host that a filter wants, before load
	// balancing; with OverrideStrict no other will do. The request is then
	// answered with OverrideStatus, 0 for 503, when there is no such host:
	// OverrideMissing.
	OverrideHost        string
	OverrideStrict      bool
	OverrideStatus      int
	OverrideMissing     bool
	ownFilterState      bool // FilterState is this stream's own
	UpstreamFilterState map[string]any

	// InternalRedirects were followed, to these routes if anyone wants to know.
	InternalRedirects int
	RedirectRoutes    []string

	HealthCheck bool // a health-check request
	ForceTrace  bool // traced because the request demanded it
}

// Attempt is one try at an upstream host.
type Attempt struct {
	Host     network.Address
	Hostname string
	ConnID   uint64 // 0 when no connection came about
}

// FilterStateObject is what a filter state value may implement beyond being
// a string, number or bool, to show up in logs. One that is JSON in its typed
// form, %FILTER_STATE(name)%, has a method TypedJSON() string, too.
type FilterStateObject interface {
	// String is its plain form, %FILTER_STATE(name:PLAIN)%.
	String() string
	FilterStateFields
}

// FilterStateFields is a filter state value that has fields. One whose fields
// expressions can use, filter_state["name"].field, has a method
// Attribute(string) (any, bool), too.
type FilterStateFields interface {
	// Field is one of its fields, %FILTER_STATE(name:FIELD:field)%.
	Field(name string) (string, bool)
}

// Reset makes i ready for another stream, keeping its memory.
func (i *Info) Reset() {
	metadata, spare := i.Metadata, i.spare
	for _, m := range metadata {
		if len(m) <= maxSpareKeys && len(spare) < maxSpare {
			clear(m)
			spare = append(spare, m)
		}
	}
	clear(metadata)
	*i = Info{Attempts: i.Attempts[:0], Metadata: metadata, spare: spare}
}

// What Reset keeps of the metadata, that streams which need much do not make
// all others large.
const (
	maxSpare     = 4  // namespaces
	maxSpareKeys = 16 // of each
)

// SetDetails replaces the response-code details; "" is known to be none, which
// is printed as nothing.
func (i *Info) SetDetails(d string) { i.ResponseCodeDetails, i.NoDetails = d, d == "" }

// SetFlag adds a response flag.
func (i *Info) SetFlag(f Flags) {
	if f == 0 || i.Flags&f == f {
		return
	}
	i.Flags |= f
	// Numbers of 5 bits, the latest lowest: room for the 12 latest.
	i.flagOrder = i.flagOrder<<5 | uint64(bits.TrailingZeros64(uint64(f))+1)
}

// AppendFlags appends the short or long names of the flags in the order in
// which they were set, comma-separated; "-" when none is.
func (i *Info) AppendFlags(dst []byte, long bool) []byte {
	left := i.Flags
	start := len(dst)
	for shift := 55; shift >= 0; shift -= 5 {
		n := i.flagOrder >> shift & 31
		if f := Flags(1) << n >> 1; n != 0 && left&f != 0 {
			dst = append(f.Append(dst, long), ',')
			left &^= f
		}
	}
	switch {
	case left != 0: // set without SetFlag
		return left.Append(dst, long)
	case len(dst) > start:
		return dst[:len(dst)-1]
	}
	return append(dst, '-')
}

// SetMetadata sets one key of dynamic metadata.
func (i *Info) SetMetadata(namespace, key string, value any) {
	i.MetadataOf(namespace)[key] = value
}

// MetadataOf is the dynamic metadata of a namespace, to be changed; made when
// there is none.
func (i *Info) MetadataOf(namespace string) map[string]any {
	if i.Metadata == nil {
		i.Metadata = make(map[string]map[string]any)
	}
	m := i.Metadata[namespace]
	if m != nil {
		return m
	}
	if n := len(i.spare); n > 0 {
		m, i.spare = i.spare[n-1], i.spare[:n-1]
	} else {
		m = make(map[string]any)
	}
	i.Metadata[namespace] = m
	return m
}

// FilterStateObject is the object of that name.
func (i *Info) FilterStateObject(name string) (object any, ok bool) {
	object, ok = i.FilterState[name]
	return object, ok
}

// SetFilterState sets an object of the stream's filter state, leaving the
// connection's as it is.
func (i *Info) SetFilterState(name string, value any) {
	if !i.ownFilterState {
		i.FilterState, i.ownFilterState = maps.Clone(i.FilterState), true
		if i.FilterState == nil {
			i.FilterState = map[string]any{}
		}
	}
	i.FilterState[name] = value
}

// Duration is how long the stream has taken, or took.
func (i *Info) Duration(now time.Duration) time.Duration {
	if i.End != 0 {
		return i.End - i.Begin
	}
	return now - i.Begin
}

// ConnectionMetadata is the dynamic metadata of the downstream connection.
func (i *Info) ConnectionMetadata() map[string]map[string]any {
	if i.Conn == nil || i.Conn.Info == nil {
		return nil
	}
	return i.Conn.Info.Metadata
}

// DownstreamTLS is the TLS session of the downstream connection; nil when
// there is none.
func (i *Info) DownstreamTLS() network.TLSInfo {
	if i.Conn == nil || i.Conn.Info == nil {
		return nil
	}
	return i.Conn.Info.TLS
}
