//go:build e2e

package conformance

import (
	"fmt"
	"net"
	nethttp "net/http"
	"os/exec"
	"strings"
	"testing"
)

const h2specVersion = "v2.2.1+incompatible"

// TestH2spec runs every test of h2spec against a listener whose requests go to
// an HTTP/1 server.
func TestH2spec(t *testing.T) {
	h2spec := tool(t, "github.com/summerwind/h2spec/cmd/h2spec", h2specVersion)
	origin := serveHTTP1(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) { fmt.Fprint(w, "hello") })
	p := startWeir(t, options{upstream: origin, codecType: "HTTP2"})
	out, err := exec.CommandContext(t.Context(), h2spec, "generic", "http2", "hpack", "-h", "127.0.0.1", "-p", fmt.Sprint(p.port)).CombinedOutput()
	text := string(out)
	if err != nil || !strings.Contains(text, "145 tests, 145 passed, 0 skipped, 0 failed") {
		_, failures, _ := strings.Cut(text, "Failures:")
		t.Errorf("%v\n%s", err, failures)
	}
}

// serveHTTP1 is a server of net/http's; it returns its port.
func serveHTTP1(t *testing.T, h nethttp.HandlerFunc) int {
	t.Helper()
	return serve(t, &nethttp.Server{Handler: h})
}

func serve(t *testing.T, s *nethttp.Server) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).Port
}
