package httpinspector

import (
	"bytes"
	"strings"
)

type verdict uint8

const (
	needMore verdict = iota
	notHTTP
	http10
	http11
	http2
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// methods are those that Envoy's parser knows; others are taken for another
// protocol.
var methods = []string{
	"ACL", "BIND", "CHECKOUT", "CONNECT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
	"MOVE", "MSEARCH", "NOTIFY", "OPTIONS", "PATCH", "POST", "PROPFIND", "PROPPATCH", "PURGE", "PUT", "QUERY", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "TRACE",
	"UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
}

// detect looks at the start of a connection. It decides as early as it can,
// so that clients of other protocols do not wait.
func detect(p []byte) verdict {
	if bytes.HasPrefix(p, []byte(preface)) {
		return http2
	}
	if strings.HasPrefix(preface, string(p)) {
		return needMore
	}
	for len(p) > 0 && (p[0] == '\r' || p[0] == '\n') { // RFC 9112 section 2.2
		p = p[1:]
	}
	if v := checkMethod(p); v != http11 {
		return v
	}
	eol := bytes.IndexByte(p, '\n')
	line := p
	if eol >= 0 {
		line = bytes.TrimSuffix(p[:eol], []byte("\r"))
	}
	_, target, _ := bytes.Cut(line, []byte(" "))
	target, version, found := bytes.Cut(target, []byte(" "))
	for _, c := range target {
		if c < 0x21 || c == 0x7f {
			return notHTTP
		}
	}
	switch {
	case !found && eol < 0:
		return needMore
	case len(target) == 0:
		return notHTTP
	case string(version) == "HTTP/1.1" && eol >= 0:
		return http11
	case len(version) == len("HTTP/1.x") && string(version[:7]) == "HTTP/1." && version[7]-'0' <= 9 && eol >= 0:
		return http10 // so is any other minor version to Envoy
	case eol < 0 && startsVersion(string(version)):
		return needMore
	}
	return notHTTP
}

// checkMethod is http11 when p begins with a method and a space.
func checkMethod(p []byte) verdict {
	sp := bytes.IndexByte(p, ' ')
	if sp < 0 {
		for _, m := range methods {
			if strings.HasPrefix(m, string(p)) {
				return needMore
			}
		}
		return notHTTP
	}
	for _, m := range methods {
		if string(p[:sp]) == m {
			return http11
		}
	}
	return notHTTP
}

// startsVersion tells whether v can still become a version of HTTP/1.
func startsVersion(v string) bool {
	const want = "HTTP/1."
	if len(v) <= len(want) {
		return strings.HasPrefix(want, v)
	}
	return v[:len(want)] == want && v[len(want)]-'0' <= 9 && (len(v) == len(want)+1 || v[len(want)+1:] == "\r")
}
