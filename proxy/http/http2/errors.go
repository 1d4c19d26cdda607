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
}

func protocolError(msg string) *connError {
	return &connError{http2.ErrCodeProtocol, detailProtocol, msg}
}

// What a peer can do wrong on a connection. The values are shared and never
// change.
var (
	errPreface       = protocolError("bad connection preface")
	errFirstSettings = protocolError("the first frame is not SETTINGS")
	errFrameSize     = &connError{http2.ErrCodeFrameSize, detailProtocol, "bad frame size"}
	errPadding       = protocolError("padding is longer than its frame")
	errStreamID      = protocolError("unexpected stream identifier")
	errIdleStream    = protocolError("frame on an idle stream")
	errContinuation  = protocolError("header block is interrupted")
	errPush          = protocolError("unexpected PUSH_PROMISE")
	errSettingValue  = protocolError("invalid value of a setting")
	errWindowSetting = &connError{http2.ErrCodeFlowControl, detailProtocol, "window setting too large"}
	errWindow        = &connError{http2.ErrCodeFlowControl, detailProtocol, "connection window overflow"}
	errZeroWindow    = protocolError("WINDOW_UPDATE of 0")
	errOverrun       = &connError{http2.ErrCodeFlowControl, detailProtocol, "more data than the window allows"}
	errClosedStream  = &connError{http2.ErrCodeStreamClosed, detailProtocol, "frame on a closed stream"}
	errCompression   = &connError{http2.ErrCodeCompression, detailHeaderField, "header block can't be decoded"}
	errMessaging     = &connError{http2.ErrCodeProtocol, detailMessaging, "malformed message"}
	errField         = &connError{http2.ErrCodeProtocol, detailHeaderField, "malformed field"}
	errNameUnderscor = &connError{http2.ErrCodeProtocol, detailUnderscore, "field name with an underscore"}
)

func calm(details, msg string) *connError {
	return &connError{http2.ErrCodeEnhanceYourCalm, details, msg}
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
	}
	return http.RemoteReset
}

// errorCode is what RST_STREAM says of a reset from this side.
func errorCode(r http.ResetReason) http2.ErrCode {
	switch r {
	case http.LocalRefusedStreamReset:
		return http2.ErrCodeRefusedStream
	case http.ConnectError:
		return http2.ErrCodeConnect
	case http.ProtocolError:
		return http2.ErrCodeProtocol
	}
	return http2.ErrCodeNo
}
