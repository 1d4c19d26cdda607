package tlsinspector

import (
	"fmt"
	"strings"
)

// maxHello is the longest ClientHello that BoringSSL takes.
const maxHello = 16 << 10

// notTLS is why BoringSSL, and so Envoy's logs, would not take what begins with
// p for TLS.
func notTLS(p []byte) string {
	code, name := boringError(p)
	return fmt.Sprintf("TLS_error|error:10000%03x:SSL routines:OPENSSL_internal:%s:TLS_error_end", code, name)
}

func boringError(p []byte) (code int, name string) {
	for _, method := range []string{"GET ", "POST ", "HEAD ", "PUT "} {
		if strings.HasPrefix(string(p), method) {
			return 156, "HTTP_REQUEST"
		}
	}
	switch {
	case strings.HasPrefix(string(p), "CONNE"):
		return 155, "HTTPS_PROXY_REQUEST"
	case len(p) < recordHeader || p[1] != 3:
		return 247, "WRONG_VERSION_NUMBER"
	case int(p[3])<<8|int(p[4]) > maxRecord+256:
		return 146, "ENCRYPTED_LENGTH_TOO_LONG"
	case p[0] != recordHandshake:
		return 225, "UNEXPECTED_RECORD"
	}
	if m := p[recordHeader:]; len(m) >= helloHeader {
		switch {
		case int(m[1])<<16|int(m[2])<<8|int(m[3]) > maxHello:
			return 150, "EXCESSIVE_MESSAGE_SIZE"
		case m[0] != clientHello:
			return 223, "UNEXPECTED_MESSAGE"
		}
	}
	return 131, "CLIENTHELLO_PARSE_FAILED"
}
