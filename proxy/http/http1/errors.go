package http1

import "github.com/weirproxy/weir/proxy/http"

// Response code details, Envoy's.
const (
	detailCodecError        = "http1.codec_error"
	detailTooManyHeaders    = "http1.too_many_headers"
	detailHeadersTooLarge   = "http1.headers_too_large"
	detailInvalidCharacters = "http1.invalid_characters"
	detailInvalidURL        = "http1.invalid_url"
	detailInvalidScheme     = "http1.invalid_scheme"
	detailInvalidTE         = "http1.invalid_transfer_encoding"
	detailBodyDisallowed    = "http1.body_disallowed"
	detailTEDisallowed      = "http1.transfer_encoding_not_allowed"
	detailConnection        = "http1.connection_header_rejected"
	detailChunkedLength     = "http1.content_length_and_chunked_not_allowed"
	detailUnderscore        = "http1.unexpected_underscore"
	detailInvalidAuthority  = "http.invalid_authority"
	detailLowVersion        = "low_version"
)

func bad(details, msg string) *http.CodecError {
	return &http.CodecError{Status: 400, Body: "Bad Request", Details: details, Msg: "http/1.1 protocol error: " + msg}
}

func tooLarge(details, msg string) *http.CodecError {
	return &http.CodecError{Status: 431, Body: "Request Header Fields Too Large", Details: details, Msg: "http/1.1 protocol error: " + msg}
}

// What a peer can do wrong. The values are shared and never change.
var (
	errStartLine     = bad(detailCodecError, "malformed start line")
	errMethod        = bad(detailCodecError, "unknown method")
	errName          = bad(detailCodecError, "malformed field name")
	errFold          = bad(detailCodecError, "folded field line")
	errValue         = bad(detailInvalidCharacters, "control character in a field value")
	errTooMany       = tooLarge(detailTooManyHeaders, "too many field lines")
	errTooLarge      = tooLarge(detailHeadersTooLarge, "field section too large")
	errUnderscore    = bad(detailUnderscore, "field name with an underscore")
	errHost          = bad(detailInvalidAuthority, "invalid or repeated host")
	errURL           = bad(detailInvalidURL, "invalid request target")
	errScheme        = bad(detailInvalidScheme, "unsupported scheme in the request target")
	errLength        = bad(detailCodecError, "invalid or repeated content-length")
	errLengthChunked = bad(detailChunkedLength, "both content-length and chunked")
	errNotFinal      = bad(detailInvalidTE, "chunked is not the final transfer coding")
	errTE10          = bad(detailTEDisallowed, "transfer-encoding in an HTTP/1.0 message")
	errTENoBody      = bad(detailTEDisallowed, "transfer-encoding in a message without body")
	errConnectBody   = bad(detailBodyDisallowed, "CONNECT with a body")
	errConnection    = bad(detailConnection, "invalid field named by connection")
	errChunk         = bad(detailCodecError, "malformed chunk")
	errExtension     = bad(detailCodecError, "chunk extensions too large")
	errCoding        = &http.CodecError{Status: 501, Body: "Not Implemented", Details: detailInvalidTE, Msg: "http/1.1 protocol error: unsupported transfer coding"}
	errVersion       = &http.CodecError{Status: 426, Body: "Upgrade Required", Details: detailLowVersion, Msg: "http/1.1 protocol error: unsupported HTTP version"}
	errCutOff        = bad(detailCodecError, "the connection ended within a body")
	errUnsolicited   = bad(detailCodecError, "bytes that no request asked for")
	errInterim       = bad(detailCodecError, "too many interim responses")
	errUpgrade       = bad(detailCodecError, "101 to a request without upgrade")
)
