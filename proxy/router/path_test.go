package router_test

import (
	"bytes"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

const (
	getRequest  = "GET /a/b?c=d HTTP/1.1\r\nHost: h.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	getResponse = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
)

// rawUpstream answers each request head with the same bytes. It allocates
// nothing after its first request.
func rawUpstream(t testing.TB) string {
	return tcprig.Start(t, func(c net.Conn) {
		buf, answer := make([]byte, 4096), []byte(getResponse)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}).String()
}

// wholePath is a proxy with an upstream, and a function that sends a request
// and reads its answer. The client blocks in system calls of its own, so that
// it allocates nothing.
func wholePath(t testing.TB, hcm string) (exchange func()) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("u", "", rawUpstream(t))
	addr := r.Serve(hcm)
	c := listenerrig.Dial(t, addr)
	file, err := c.File() // blocking
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	request, buf := []byte(getRequest), make([]byte, 4096)
	return func() {
		if _, err := unix.Write(fd, request); err != nil {
			t.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")); {
			m, err := unix.Read(fd, buf[n:])
			if err != nil || m == 0 {
				t.Fatal(m, err)
			}
			n += m
		}
	}
}

// features is a route with what most deployments use.
const features = `route_config:
  virtual_hosts:
  - name: v
    domains: ["*.example", h.example]
    include_request_attempt_count: true
    virtual_clusters: [{name: gets, headers: [{name: ":method", string_match: {exact: GET}}]}]
    retry_policy: {retry_on: 5xx}
    request_headers_to_add: [{header: {key: x-added, value: v}}]
    routes:
    - {match: {prefix: /none}, direct_response: {status: 404}}
    - {match: {prefix: /a}, stat_prefix: a, route: {cluster: u, prefix_rewrite: /z, hash_policy: [{header: {header_name: user-agent}}]}}
use_remote_address: true
`

// TestWholePathAllocatesNothing sends requests from a client through the
// connection manager, the router and a pool to an upstream and back.
func TestWholePathAllocatesNothing(t *testing.T) {
	for name, hcm := range map[string]string{"plain": httprig.Routes("{match: {prefix: /}, route: {cluster: u}}"), "features": features} {
		t.Run(name, func(t *testing.T) {
			exchange := wholePath(t, hcm)
			for range 100 {
				exchange()
			}
			// What other goroutines of the process do now and then is less
			// than one allocation a request.
			if n := testing.AllocsPerRun(1000, exchange); n >= 1 {
				t.Errorf("%v allocations a request", n)
			}
		})
	}
}

func BenchmarkWholePath(b *testing.B) {
	exchange := wholePath(b, httprig.Routes("{match: {prefix: /}, route: {cluster: u}}"))
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}
