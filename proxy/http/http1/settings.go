package http1

// UnderscoreAction is what becomes of field names with underscores
// (HttpProtocolOptions.headers_with_underscores_action).
type UnderscoreAction uint8

const (
	AllowUnderscores UnderscoreAction = iota
	RejectUnderscores
	DropUnderscores
)

// HeaderCase is how field names are written.
type HeaderCase uint8

const (
	LowerCase HeaderCase = iota
	ProperCase
	// PreserveCase writes the fields of a message that was received as they
	// came, wherever it goes.
	PreserveCase
)

// HeaderFormat is how field names, and the phrase behind a status, are written
// (Http1ProtocolOptions.header_key_format).
type HeaderFormat struct {
	Case HeaderCase
	// CapitalizeOwn is for PreserveCase: fields that the proxy adds are written
	// as by ProperCase.
	CapitalizeOwn bool
	// KeepReason is for PreserveCase, too: the phrase of a response received
	// goes along.
	KeepReason bool
}

// Settings are what the codecs of a listener or cluster share; they never
// change once a codec has them. They belong to one worker, as the counters
// do.
type Settings struct {
	MaxHeadersKB    uint32 // bytes/1024 of a head; 0 is Envoy's default, 60
	MaxHeadersCount uint32 // lines of a head; 0 is Envoy's default, 100

	Underscores UnderscoreAction
	// AllowChunkedLength takes a message with both content-length and chunked
	// as chunked, drops the length and closes afterwards (RFC 9112 section
	// 6.3), instead of refusing it.
	AllowChunkedLength bool
	// EnableTrailers passes trailers on; they are dropped otherwise.
	EnableTrailers bool
	// AcceptHTTP10 serves HTTP/1.0 requests, which are answered 426 otherwise.
	AcceptHTTP10 bool
	// DefaultHost is the authority of an HTTP/1.0 request without Host.
	DefaultHost string
	// AllowCustomMethods takes methods that are not registered.
	AllowCustomMethods bool
	// NoAbsoluteURL refuses absolute-form targets (allow_absolute_url: false).
	NoAbsoluteURL bool
	// AbsoluteForm sends requests with absolute-form targets
	// (send_fully_qualified_url).
	AbsoluteForm bool
	// StreamErrors is override_stream_error_on_invalid_http_message.
	StreamErrors bool
	HeaderFormat
	// IgnoreUpgrade tells which protocols an Upgrade header
	// asks for in vain (ignore_http_11_upgrade); nil: none.
	IgnoreUpgrade func(protocol string) bool
	// BufferLimit is what may be buffered for a stream in bytes; 0: as much as
	// for the connection.
	BufferLimit uint32

	Counters Counters
	// Sheds tells, under load, that bytes of a request are not to be looked at;
	// nil: all are. A server's.
	Sheds func() bool
}

// Counters are Envoy's http1.* counters; nil ones are not counted.
type Counters struct {
	DroppedHeadersWithUnderscores  *uint64
	RequestsRejectedWithUnderscore *uint64
	MetadataNotSupported           *uint64
	// ResponseFlood counts how often a pipelining client had to wait because
	// it does not read its responses.
	ResponseFlood *uint64
}

func count(c *uint64) {
	if c != nil {
		*c++
	}
}

func (s *Settings) maxHead() int {
	if s.MaxHeadersKB == 0 {
		return 60 << 10
	}
	return int(s.MaxHeadersKB) << 10
}

func (s *Settings) maxLines() int {
	if s.MaxHeadersCount == 0 {
		return 100
	}
	return int(s.MaxHeadersCount)
}

// maxRequestTrailers bounds the trailer section of a request in bytes. It is
// less than a head's, so that one that is too long is seen before the request
// has gone upstream.
const maxRequestTrailers = 8 << 10
