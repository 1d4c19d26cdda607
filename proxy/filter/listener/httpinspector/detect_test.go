package httpinspector

import (
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for in, want := range map[string]verdict{
		"GET / HTTP/1.1\r\n":                 http11,
		"GET / HTTP/1.1\n":                   http11,
		"GET / HTTP/1.0\r\nHost: a":          http10,
		"\r\nGET / HTTP/1.1\r\n":             http11,
		"CONNECT a.example:443 HTTP/1.1\r\n": http11,
		"MSEARCH * HTTP/1.1\r\n":             http11,
		"M-SEARCH * HTTP/1.1\r\n":            notHTTP,
		preface:                              http2,
		preface + "\x00\x00":                 http2,
		"":                                   needMore,
		"P":                                  needMore,
		"PRI * HTTP/2.0\r\n\r\nSM":           needMore,
		"GE":                                 needMore,
		"GET / HTTP/1.1":                     needMore,
		"GET /" + strings.Repeat("a", 9000):  needMore,
		"GET  / HTTP/1.1\r\n":                notHTTP,
		"GET /\x00 HTTP/1.1\r\n":             notHTTP,
		"GET / HTTP/1.2\r\n":                 http10,
		"GET / HTTP/1.":                      needMore,
		"GET / HTTP/1.x":                     notHTTP,
		"GET / HTTP/2.0\r\n":                 notHTTP,
		"GET /\r\n":                          notHTTP,
		"get / HTTP/1.1\r\n":                 notHTTP,
		"BREW / HTTP/1.1\r\n":                notHTTP,
		"\x16\x03\x01":                       notHTTP,
		"PRI * HTTP/2.0\r\n\r\nXX":           notHTTP,
		"SSH-2.0-OpenSSH\r\n":                notHTTP,
		"GET / HTTP/1.1 x\r\n":               notHTTP,
	} {
		if got := detect([]byte(in)); got != want {
			t.Errorf("%.40q: %d, want %d", in, got, want)
		}
	}
}

// FuzzDetect checks that a verdict once given stands, whatever follows.
func FuzzDetect(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n", preface, "\r\nPOST /a?b HTTP/1.0\n", "xyz"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		whole := detect(p)
		for i := range p {
			if early := detect(p[:i]); early != needMore && early != whole {
				t.Fatalf("%q is %d, but %q is %d", p[:i], early, p, whole)
			}
		}
	})
}
