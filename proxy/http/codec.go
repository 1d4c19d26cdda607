package http

import (
	"time"

	"github.com/weirproxy/weir/proxy/network"
)

// ProtocolVersion is the version of HTTP that a connection speaks.
type ProtocolVersion uint8

const (
	HTTP10 ProtocolVersion = iota + 1
	HTTP11
	HTTP2
	HTTP3
)

// String is the form that access logs print: "HTTP/1.1".
func (p ProtocolVersion) String() string {
	switch p {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2"
	case HTTP3:
		return "HTTP/3"
	}
	return ""
}

// StreamDecoder receives a message as its codec decodes it. endStream is true
// on the last call.
type StreamDecoder interface {
	// DecodeData is given body bytes; what it leaves in b is dropped.
	DecodeData(b *network.Buffer, endStream bool)
	// DecodeTrailers ends the message. The map is the decoder's to keep
	// until the stream is destroyed.
	DecodeTrailers(trailers *HeaderMap)
}

// RequestDecoder receives a request, on the server's side.
type RequestDecoder interface {
	StreamDecoder
	// RequestHeaders is the map that the codec fills before DecodeHeaders.
	// It is the stream's and stays valid as long as that.
	RequestHeaders() *HeaderMap
	// RequestTrailers is the map for trailers.
	RequestTrailers() *HeaderMap
	DecodeHeaders(endStream bool)
	// SendLocalReply answers a request that the codec refuses: a malformed
	// or oversized one. details is the response code detail.
	SendLocalReply(code int, body, details string)
}

// ResponseDecoder receives a response, on the client's side. The maps are
// the codec's until DecodeHeaders or DecodeTrailers gives them over; they stay
// valid until the stream is destroyed.
type ResponseDecoder interface {
	StreamDecoder
	ResponseHeaders() *HeaderMap
	ResponseTrailers() *HeaderMap
	// Decode1xxHeaders is an interim response other than 101; the map is
	// ResponseHeaders and is reset afterwards.
	Decode1xxHeaders()
	DecodeHeaders(endStream bool)
}

// ResetReason tells why a stream ended early.
type ResetReason uint8

const (
	ResetNone ResetReason = iota
	LocalReset
	LocalRefusedStreamReset
	RemoteReset
	RemoteRefusedStreamReset
	LocalConnectionFailure
	RemoteConnectionFailure
	ConnectionTimeout
	ConnectionTermination
	Overflow
	ConnectError
	ProtocolError
	OverloadManagerReset
	Http1PrematureUpstreamHalfClose
)

// String is Envoy's text, as error bodies and response code details show it.
func (r ResetReason) String() string {
	switch r {
	case LocalReset:
		return "local reset"
	case LocalRefusedStreamReset:
		return "local refused stream reset"
	case RemoteReset:
		return "remote reset"
	case RemoteRefusedStreamReset:
		return "remote refused stream reset"
	case LocalConnectionFailure:
		return "local connection failure"
	case RemoteConnectionFailure:
		return "remote connection failure"
	case ConnectionTimeout:
		return "connection timeout"
	case ConnectionTermination:
		return "connection termination"
	case Overflow:
		return "overflow"
	case ConnectError:
		return "remote error with CONNECT request"
	case ProtocolError:
		return "protocol error"
	case OverloadManagerReset:
		return "overload manager reset"
	case Http1PrematureUpstreamHalfClose:
		return "HTTP/1 premature upstream half close"
	}
	return ""
}

// StreamCallbacks is told what happens to a stream besides its message.
type StreamCallbacks interface {
	// OnResetStream ends the stream; transportFailure says why the
	// connection failed, or is "".
	OnResetStream(reason ResetReason, transportFailure string)
	OnAboveWriteBufferHighWatermark()
	OnBelowWriteBufferLowWatermark()
}

// Stream is a codec's end of one request and response.
type Stream interface {
	SetCallbacks(StreamCallbacks)
	// ResetStream ends the stream at once: RST_STREAM, or in HTTP/1 closing
	// the connection. The callbacks are told, unless removed before.
	ResetStream(reason ResetReason)
	// ReadDisable stops delivery of this stream's data (true) or undoes one
	// such call (false).
	ReadDisable(bool)
	// BufferLimit is how many bytes may be buffered for the stream; 0: any.
	BufferLimit() uint32
	// Details is what the codec has to say on a reset, for response code
	// details, e.g. "http1.codec_error".
	Details() string
}

// Bytes counts a stream's bytes on the wire, framing included.
type Bytes struct {
	Received, Sent uint64
	HeaderSent     uint64 // of header fields, without start line and end
	HeaderReceived uint64 // the same; 0 where the codec doesn't count it
}

// FlushTimed is a Stream whose peer has only so long to take the last bytes.
type FlushTimed interface {
	// SetFlushTimeout overrides the codec's setting; 0: no bound.
	SetFlushTimeout(time.Duration)
}

// Metered is a Stream that counts its bytes.
type Metered interface {
	// Bytes may be asked until the stream has ended both ways and shortly
	// after: until another begins.
	Bytes() Bytes
}

// StreamEncoder sends a message.
type StreamEncoder interface {
	Stream
	// EncodeData takes all of b.
	EncodeData(b *network.Buffer, endStream bool)
	EncodeTrailers(trailers *HeaderMap)
}

// RequestEncoder sends a request, on the client's side.
type RequestEncoder interface {
	StreamEncoder
	// EncodeHeaders sends the head. It fails when a required header is
	// missing or a name or value can't be sent.
	EncodeHeaders(h *HeaderMap, endStream bool) error
	// EnableTCPTunneling ends framing: what follows is raw bytes both ways
	// (after a 101, or a 2xx to CONNECT).
	EnableTCPTunneling()
}

// ResponseEncoder sends a response, on the server's side.
type ResponseEncoder interface {
	StreamEncoder
	Encode1xxHeaders(h *HeaderMap)
	EncodeHeaders(h *HeaderMap, endStream bool)
	// StreamErrorOnInvalidMessage tells whether a malformed request ends the
	// stream only (true) or the connection.
	StreamErrorOnInvalidMessage() bool
}

// ServerConnection is a downstream connection's codec.
type ServerConnection interface {
	// Dispatch decodes what is in b and drains it. An error ends the
	// connection after what was already written.
	Dispatch(b *network.Buffer) error
	Protocol() ProtocolVersion
	// ShutdownNotice tells the peer that the connection will end soon
	// (GOAWAY with the largest stream number). HTTP/1: nothing.
	ShutdownNotice()
	// GoAway tells the peer not to start further streams.
	GoAway()
	OnAboveWriteBufferHighWatermark()
	OnBelowWriteBufferLowWatermark()
}

// ServerCallbacks is who uses a ServerConnection: the connection manager.
type ServerCallbacks interface {
	// NewStream is called when a request begins. The encoder belongs to the
	// new stream until it has ended both ways.
	NewStream(enc ResponseEncoder) RequestDecoder
	OnGoAway(code uint32)
}

// ClientConnection is an upstream connection's codec.
type ClientConnection interface {
	Dispatch(b *network.Buffer) error
	Protocol() ProtocolVersion
	// NewStream starts a request whose response goes to dec.
	NewStream(dec ResponseDecoder) RequestEncoder
	GoAway()
	ShutdownNotice()
	OnAboveWriteBufferHighWatermark()
	OnBelowWriteBufferLowWatermark()
}

// ClientCallbacks is who uses a ClientConnection: a connection pool.
type ClientCallbacks interface {
	// OnGoAway tells that no further stream may start on the connection.
	OnGoAway(code uint32)
	// OnStreamEnd tells that a stream has ended both ways and the connection
	// may carry another; reusable is false when it may not.
	OnStreamEnd(reusable bool)
	// OnMaxStreams tells how many streams the peer allows at once.
	OnMaxStreams(n uint32)
}

// CodecError is a protocol violation by the peer.
type CodecError struct {
	Status  int    // the answer due to a bad request, 0: none, just close
	Body    string // its body
	Details string // response code detail, e.g. "http1.codec_error"
	Msg     string // for logs
	Load    bool   // nothing is wrong with what came: the proxy is overloaded
	Others  string // the response code detail of streams that did not cause it
}

func (e *CodecError) Error() string { return e.Msg }

// HeaderTimeouts and limits that codecs share.
const (
	// DefaultMaxRequestHeadersKB is Envoy's max_request_headers_kb.
	DefaultMaxRequestHeadersKB = 60
	// DefaultMaxHeadersCount is Envoy's max_headers_count.
	DefaultMaxHeadersCount = 100
	// DefaultHeadersTimeout cuts off a header section that does not end.
	DefaultHeadersTimeout = 10 * time.Second
)
