package http

import (
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// HeadersStatus, DataStatus and TrailersStatus are what a filter returns.
type HeadersStatus uint8

const (
	HeadersContinue HeadersStatus = iota
	// HeadersStopIteration holds the headers; data that follows is still
	// given to this filter.
	HeadersStopIteration
	// HeadersStopAllAndBuffer holds everything, buffering data up to the
	// stream's limit (413 or 500 above it).
	HeadersStopAllAndBuffer
	// HeadersStopAllAndWatermark holds everything and lets the peer wait.
	HeadersStopAllAndWatermark
)

type DataStatus uint8

const (
	DataContinue DataStatus = iota
	// DataStopAndBuffer keeps the data in DecodingBuffer or EncodingBuffer
	// until the filter lets it go. Above the stream's limit the request is
	// answered 413, a response 500.
	DataStopAndBuffer
	// DataStopAndWatermark keeps the data and pauses the sender at the limit.
	DataStopAndWatermark
	// DataStopNoBuffer drops what the filter left: it has taken it.
	DataStopNoBuffer
)

type TrailersStatus uint8

const (
	TrailersContinue TrailersStatus = iota
	TrailersStopIteration
)

// DecoderFilter sees a request.
type DecoderFilter interface {
	DecodeHeaders(h *HeaderMap, endStream bool) HeadersStatus
	DecodeData(b *network.Buffer, endStream bool) DataStatus
	DecodeTrailers(t *HeaderMap) TrailersStatus
}

// EncoderFilter sees a response, including those made by the proxy.
type EncoderFilter interface {
	EncodeHeaders(h *HeaderMap, endStream bool) HeadersStatus
	EncodeData(b *network.Buffer, endStream bool) DataStatus
	EncodeTrailers(t *HeaderMap) TrailersStatus
}

// StreamFilter is a filter of one stream: a DecoderFilter, an EncoderFilter
// or both. A filter that is also a Recycler serves one stream after another.
type StreamFilter interface {
	// OnDestroy is called once when the stream ends, however it ends. The
	// filter must stop its timers and calls; its callbacks are dead.
	OnDestroy()
}

// Recycler is a filter that can be used again for a later stream of the same
// worker after OnDestroy, so that streams need no allocation.
type Recycler interface{ Recycle() }

// Dropper is a Recycler with timers. Drop releases them: it will not be used
// again.
type Dropper interface{ Drop() }

// FilterFactory makes filters of one configured filter. It is built on main,
// and New is called on workers.
type FilterFactory interface {
	// New makes the filter for one stream (or for many: see Recycler). w is
	// the number of the worker, for the factory's own per-worker state.
	New(w int, cb FilterCallbacks) StreamFilter
}

// RouteLevels is how many levels can configure a filter: route configuration,
// virtual host, route and weighted cluster.
const RouteLevels = 4

// Route is what the stream's route tells filters; the route package's entries
// implement it.
type Route interface {
	RouteName() string
	VirtualHostName() string
	// FilterConfig is the most specific typed_per_filter_config for a filter
	// name (weighted cluster, route, virtual host, route configuration),
	// compiled by its RouteConfigMaker; nil when there is none.
	FilterConfig(name string) any
	// FilterConfigs are those of all levels, the least specific first, nil
	// where a level has none. For filters that merge them.
	FilterConfigs(name string) [RouteLevels]any
	// FilterDisabled tells whether the filter is switched off (or on) here;
	// known is false when the route says nothing.
	FilterDisabled(name string) (disabled, known bool)
}

// FilterCallbacks is a filter's view of its stream.
type FilterCallbacks interface {
	// Loop is the worker's loop; Worker its number.
	Loop() *network.Loop
	Worker() int
	Connection() *network.Connection
	StreamInfo() *streaminfo.Info
	StreamID() uint64

	// Route is the stream's route, found at the first call; nil when none
	// matches. ClearRouteCache makes it be looked up anew.
	Route() Route
	ClearRouteCache()
	// FilterName is the name under which the filter is configured.
	FilterName() string

	RequestHeaders() *HeaderMap
	RequestTrailers() *HeaderMap  // nil before they came
	ResponseHeaders() *HeaderMap  // nil before the response
	ResponseTrailers() *HeaderMap // nil before they came

	// ContinueDecoding and ContinueEncoding resume behind this filter.
	ContinueDecoding()
	ContinueEncoding()
	// DecodingBuffer and EncodingBuffer are what was kept for filters that
	// stopped; nil without a body. A body may be empty.
	DecodingBuffer() *network.Buffer
	EncodingBuffer() *network.Buffer
	// AddDecodedData and AddEncodedData put bytes before those that follow.
	AddDecodedData(b *network.Buffer)
	AddEncodedData(b *network.Buffer)
	// InjectDecodedData and InjectEncodedData send bytes on from this filter,
	// which returned DataStopNoBuffer for them.
	InjectDecodedData(b *network.Buffer, endStream bool)
	InjectEncodedData(b *network.Buffer, endStream bool)
	// AddDecodedTrailers and AddEncodedTrailers give a message trailers that
	// it lacks, during the call that carries endStream.
	AddDecodedTrailers() *HeaderMap
	AddEncodedTrailers() *HeaderMap

	// SendLocalReply answers the request from here. modify may be nil.
	SendLocalReply(code int, body string, modify func(*HeaderMap), grpcStatus int, details string)
	// ResetStream ends the stream without an answer, or cuts off the one
	// under way.
	ResetStream(reason ResetReason, details string)
	// RecreateStream has the request, whose head was changed, pass all filters
	// anew with this body, which it takes. All filters are destroyed, in a
	// later turn; a filter of the response holds that until then.
	RecreateStream(body *network.Buffer)
	// OnEncoderAboveHighWatermark asks the upstream to send no more of the
	// response, OnEncoderBelowLowWatermark to go on; OnDecoderAboveHighWatermark
	// and OnDecoderBelowLowWatermark ask the downstream about the request. For
	// filters that keep data themselves.
	OnEncoderAboveHighWatermark()
	OnEncoderBelowLowWatermark()
	OnDecoderAboveHighWatermark()
	OnDecoderBelowLowWatermark()
	// SetBufferLimit overrides the stream's buffer limit in bytes.
	SetBufferLimit(n uint32)
	BufferLimit() uint32
}

// RouterCallbacks is what the terminal filter has beyond FilterCallbacks: it
// is where responses enter the chain.
type RouterCallbacks interface {
	FilterCallbacks
	// NewResponse is the map for the response's head, emptied.
	NewResponse() *HeaderMap
	// NewTrailers is the map for the response's trailers, emptied.
	NewTrailers() *HeaderMap
	Encode1xxHeaders(h *HeaderMap)
	EncodeHeaders(h *HeaderMap, endStream bool, details string)
	EncodeData(b *network.Buffer, endStream bool)
	EncodeTrailers(t *HeaderMap)
	// AddDownstreamWatermarks has w told when the downstream is full and has
	// room again.
	AddDownstreamWatermarks(w DownstreamWatermarks)
	// UpgradeType is the upgrade the request asks for and is allowed, "" for
	// none.
	UpgradeType() string
	// SchemeFromUpstream tells that the request's scheme is to be that of the
	// upstream connection (scheme_header_transformation.match_upstream).
	SchemeFromUpstream() bool
}

// DownstreamWatermarks is told of the downstream's ability to take more.
type DownstreamWatermarks interface {
	OnDownstreamAboveHighWatermark()
	OnDownstreamBelowLowWatermark()
}

// NoGrpcStatus is SendLocalReply's grpcStatus when it follows from the HTTP
// status.
const NoGrpcStatus = -1

// RouteConfig is the most specific per-route configuration of the filter that
// cb belongs to: the T that its RouteConfigMaker made. ok is false when the
// request has no route or the route says nothing of the filter.
func RouteConfig[T any](cb FilterCallbacks) (c T, ok bool) {
	if r := cb.Route(); r != nil {
		c, ok = r.FilterConfig(cb.FilterName()).(T)
	}
	return c, ok
}
