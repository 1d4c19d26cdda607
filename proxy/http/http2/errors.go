package http2

import (
	"golang.org/x/net/http2"

	"github.com/weirproxy/weir/proxy/http"
)

// Response code details, Envoy's.
const (
	detailMessaging    = "http2.violation.of.messaging.rule"
	detailHeaderField  = "http2.invalid.header.field"
	detailTooMany      = "http2.too_many_headers"
	detailUnderscore   = "http2.unexpected_underscore"
	detailProtocol     = "http2.unknown.nghttp2.error"
	detailRemoteReset  = "http2.remote_reset"
	detailRemoteRefuse = "http2.remote_refuse"
	detailCodecError   = "codec_error:The_user_callback_function_failed" // whatever it is

	detailOutboundFlood     = "http2.outbound_frames_flood"
	detailControlFlood      = "http2.outbound_control_frames_flood"
	detailEmptyFlood        = "http2.inbound_empty_frames_flood"
	detailPriorityFlood     = "http2.inbound_priority_frames_flood"
	detailWindowUpdateFlood = "http2.inbound_window_update_frames_flood"
	detailPrematureResets   = "http2.too_many_premature_resets"
)

// connError is a connection error (RFC 9113 section 5.4.1).
type connError struct {
	code    http2.ErrCode
	details string
	msg     string
	// quiet ends the connection without GOAWAY: what Envoy does to who sends a
	// malformed message.
	quiet bool
}

func protocolError(msg string) *connError { return failure(http2.ErrCodeProtocol, msg) }

func failure(code http2.ErrCode, msg string) *connError {
	return &connError{code: code, details: detailProtocol, msg: msg}
}

func malformed(details, msg string) *connError {
	return &connError{code: http2.ErrCodeProtocol, details: details, msg: msg, quiet: true}
}

// What a peer can do wrong on a connection. The values are shared and never
// change.
var (
	errPreface       = protocolError("bad connection preface")
	errFirstSettings = protocolError("the first frame is not SETTINGS")
	errFrameSize     = failure(http2.ErrCodeFrameSize, "bad frame size")
	errFrameTooLarge = failure(http2.ErrCodeFrameSize, "too large frame size")
	errPadding       = protocolError("padding is longer than its frame")
	errStreamID      = protocolError("unexpected stream identifier")
	errIdleStream    = protocolError("frame on an idle stream")
	errContinuation  = protocolError("header block is interrupted")
	errPush          = protocolError("unexpected PUSH_PROMISE")
	errSettingValue  = protocolError("invalid value of a setting")
	errWindowSetting = failure(http2.ErrCodeFlowControl, "window setting too large")
	errWindow        = failure(http2.ErrCodeFlowControl, "connection window overflow")
	errZeroWindow    = protocolError("WINDOW_UPDATE of 0")
	errOverrun       = failure(http2.ErrCodeFlowControl, "more data than the window allows")
	errClosedStream  = failure(http2.ErrCodeStreamClosed, "frame on a closed stream")
	errCompression   = failure(http2.ErrCodeCompression, "header block can't be decoded")
	errMessaging     = malformed(detailMessaging, "malformed message")
	errField         = malformed(detailHeaderField, "malformed field")
	errUnderscore    = malformed(detailUnderscore, "field name with an underscore")
)

func calm(details, msg string) *connError {
	return &connError{code: http2.ErrCodeEnhanceYourCalm, details: details, msg: msg}
}

// Floods.
var (
	errOutboundFlood     = calm(detailOutboundFlood, "too many frames wait to be written")
	errControlFlood      = calm(detailControlFlood, "too many frames that need an answer")
	errEmptyFlood        = calm(detailEmptyFlood, "too many empty frames in a row")
	errPriorityFlood     = calm(detailPriorityFlood, "too many PRIORITY frames")
	errWindowUpdateFlood = calm(detailWindowUpdateFlood, "too many WINDOW_UPDATE frames")
	errHeaderFlood       = calm(detailTooMany, "header section far too large")
	errResetFlood        = calm(detailPrematureResets, "too many streams were reset")
)

// resetReason is what a peer's RST_STREAM amounts to.
func resetReason(code http2.ErrCode) http.ResetReason {
	switch code {
	case http2.ErrCodeRefusedStream:
		return http.RemoteRefusedStreamReset
	case http2.ErrCodeConnect:
		return http.ConnectError
	case http2.ErrCodeProtocol:
		return http.ProtocolError
	}
	return http.RemoteReset
}

// errorCode is what RST_STREAM says of a reset from this side; see linger for
// that of a request whose response is complete.
func errorCode(r http.ResetReason) http2.ErrCode {
	switch r {
	case http.LocalRefusedStreamReset:
		return http2.ErrCodeRefusedStream
	case http.ConnectError:
		return http2.ErrCodeConnect
	case http.ProtocolError:
		return http2.ErrCodeProtocol
	}
	return http2.ErrCodeInternal
}
