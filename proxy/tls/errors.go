package tls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"
)

// sslError is an error of BoringSSL, by whose name and number logs and error
// bodies tell why a connection failed.
type sslError struct {
	code int
	name string
}

// Of BoringSSL's errors those that crypto/tls tells apart.
var (
	errRejected    = sslError{133, "CONNECTION_REJECTED"}
	errVerify      = sslError{125, "CERTIFICATE_VERIFY_FAILED"}
	errHTTP        = sslError{156, "HTTP_REQUEST"}
	errHTTPProxy   = sslError{155, "HTTPS_PROXY_REQUEST"}
	errTooLong     = sslError{146, "ENCRYPTED_LENGTH_TOO_LONG"}
	errExcessive   = sslError{150, "EXCESSIVE_MESSAGE_SIZE"}
	errRecord      = sslError{225, "UNEXPECTED_RECORD"}
	errWrongCurve  = sslError{243, "WRONG_CURVE"}
	errNoCipher    = sslError{184, "NO_SHARED_CIPHER"}
	errNoPeerCert  = sslError{192, "PEER_DID_NOT_RETURN_A_CERTIFICATE"}
	errVersion     = sslError{247, "WRONG_VERSION_NUMBER"}
	errUnsupported = sslError{240, "UNSUPPORTED_PROTOCOL"}
	errBadMAC      = sslError{129, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"}
	errNoGroup     = sslError{266, "NO_SHARED_GROUP"}
	errMessage     = sslError{223, "UNEXPECTED_MESSAGE"}
	errKeyUsage    = sslError{302, "KEY_USAGE_BIT_INCORRECT"}
)

// alertNames are the names of received alerts (RFC 8446 section 6); their
// number is 1000 and the alert's.
var alertNames = map[uint64]string{
	10: "SSLV3_ALERT_UNEXPECTED_MESSAGE", 20: "SSLV3_ALERT_BAD_RECORD_MAC", 21: "TLSV1_ALERT_DECRYPTION_FAILED", 22: "TLSV1_ALERT_RECORD_OVERFLOW",
	40: "SSLV3_ALERT_HANDSHAKE_FAILURE", 41: "SSLV3_ALERT_NO_CERTIFICATE", 42: "SSLV3_ALERT_BAD_CERTIFICATE", 43: "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
	44: "SSLV3_ALERT_CERTIFICATE_REVOKED", 45: "SSLV3_ALERT_CERTIFICATE_EXPIRED", 46: "SSLV3_ALERT_CERTIFICATE_UNKNOWN", 47: "SSLV3_ALERT_ILLEGAL_PARAMETER",
	48: "TLSV1_ALERT_UNKNOWN_CA", 49: "TLSV1_ALERT_ACCESS_DENIED", 50: "TLSV1_ALERT_DECODE_ERROR", 51: "TLSV1_ALERT_DECRYPT_ERROR",
	70: "TLSV1_ALERT_PROTOCOL_VERSION", 71: "TLSV1_ALERT_INSUFFICIENT_SECURITY", 80: "TLSV1_ALERT_INTERNAL_ERROR", 86: "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
	90: "TLSV1_ALERT_USER_CANCELLED", 100: "TLSV1_ALERT_NO_RENEGOTIATION", 109: "TLSV1_ALERT_MISSING_EXTENSION", 110: "TLSV1_ALERT_UNSUPPORTED_EXTENSION",
	111: "TLSV1_ALERT_CERTIFICATE_UNOBTAINABLE", 112: "TLSV1_ALERT_UNRECOGNIZED_NAME", 113: "TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE",
	115: "TLSV1_ALERT_UNKNOWN_PSK_IDENTITY", 116: "TLSV1_ALERT_CERTIFICATE_REQUIRED", 120: "TLSV1_ALERT_NO_APPLICATION_PROTOCOL",
}

func (e sslError) Error() string {
	return fmt.Sprintf("TLS_error:|%d:SSL routines:OPENSSL_internal:%s", 16<<24|e.code, e.name)
}

// explain is what a failed connection's logs and error body say, in Envoy's
// words; "" when the peer has just gone.
func explain(err error) string {
	var refused *verifyError
	if errors.As(err, &refused) {
		return errVerify.Error() + ":" + refused.detail + ":TLS_error_end"
	}
	if isGone(err) {
		return ""
	}
	if e, ok := classify(err); ok {
		if e == errNoPeerCert {
			return e.Error() + ":peer did not provide required client certificate:TLS_error_end"
		}
		return e.Error() + ":TLS_error_end"
	}
	return "TLS_error:" + strings.TrimPrefix(err.Error(), "tls: ") + ":TLS_error_end"
}

// isGone tells whether the connection ended without an error of TLS.
func isGone(err error) bool {
	var errno syscall.Errno
	return isEOF(err) || errors.Is(err, net.ErrClosed) || errors.As(err, &errno)
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// notTLS is the error of a record whose header crypto/tls does not take: a
// type, a version and a length.
func notTLS(header [5]byte) sslError {
	switch string(header[:4]) {
	case "GET ", "POST", "HEAD", "PUT ":
		return errHTTP
	case "CONN":
		return errHTTPProxy
	}
	switch {
	case header[1] != 3:
		return errVersion
	case int(header[3])<<8|int(header[4]) > maxRecord+256: // RFC 8446 section 5.2
		return errTooLong
	}
	return errRecord
}

// classify finds BoringSSL's error for one of crypto/tls, which has types for
// few of them.
func classify(err error) (sslError, bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
			if name, ok := alertNames[v.Uint()]; ok {
				return sslError{1000 + int(v.Uint()), name}, true
			}
		}
	}
	var own sslError
	if errors.As(err, &own) {
		return own, true
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return notTLS(record.RecordHeader), true
	}
	text := err.Error()
	for part, e := range map[string]sslError{
		"no cipher suite supported":                    errNoCipher,
		"client offered only unsupported versions":     errUnsupported,
		"server selected unsupported protocol version": errUnsupported,
		"didn't provide a certificate":                 errNoPeerCert,
		"bad record MAC":                               errBadMAC,
		"no ECDHE curve supported":                     errNoGroup,
		"no key exchanges supported by both":           errNoGroup,
		"handshake message of length":                  errExcessive,
		"unexpected message":                           errMessage,
		"received unexpected handshake message":        errMessage,
		"handshake message of type":                    errMessage,
	} {
		if strings.Contains(text, part) {
			return e, true
		}
	}
	return sslError{}, false
}
