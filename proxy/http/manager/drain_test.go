package manager_test

import (
	"bufio"
	"io"
	"net"
	stdhttp "net/http"
	"testing"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
)

// exchange sends a request without a body and reads the answer.
func exchange(t *testing.T, c net.Conn, r *bufio.Reader, head string) *stdhttp.Response {
	t.Helper()
	io.WriteString(c, head+"\r\n\r\n")
	resp, err := stdhttp.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	return resp
}

const ok = "{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: hello}}}"

// TestDrainNow: idle connections are closed, those at once that were used
// before; a request under way is answered with Connection: close.
func TestDrainNow(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	started, goOn := make(chan bool), make(chan bool)
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, _ *stdhttp.Request) {
		started <- true
		<-goOn
	}))
	addr := r.Serve(httprig.Routes("{match: {path: /slow}, route: {cluster: u}}, " + ok))
	fresh, late := listenerrig.Dial(t, addr), listenerrig.Dial(t, addr)
	used, busy := listenerrig.Dial(t, addr), listenerrig.Dial(t, addr)
	usedR := bufio.NewReader(used)
	if resp := exchange(t, used, usedR, "GET / HTTP/1.1\r\nHost: h"); resp.Close {
		t.Error("Connection: close before the drain")
	}
	io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-started
	r.WantStat("http.in.downstream_cx_active", "4")
	r.Main(func() { r.Manager.DrainNow(nil) })
	if b, err := io.ReadAll(usedR); len(b) > 0 || err != nil {
		t.Errorf("used: %q, %v", b, err)
	}
	if resp := exchange(t, late, bufio.NewReader(late), "GET / HTTP/1.1\r\nHost: h"); !resp.Close {
		t.Error("the first request of a connection that was there before the drain: no Connection: close")
	}
	r.Main(func() { r.Manager.DrainNow(nil) })
	if b, err := io.ReadAll(fresh); len(b) > 0 || err != nil {
		t.Errorf("fresh: %q, %v", b, err)
	}
	goOn <- true
	resp, err := stdhttp.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || !resp.Close {
		t.Errorf("the request under way: %v, %v", resp, err)
	}
	for _, c := range []net.Conn{fresh, used, busy} {
		c.Close()
	}
	r.WantStat("http.in.downstream_cx_active", "0")
	r.WantStat("http.in.downstream_cx_drain_close", "4")
}

// TestConnectionLimits: max_requests_per_connection and
// max_connection_duration end connections in order.
func TestConnectionLimits(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	addr := r.Serve(httprig.Routes(ok) + "common_http_protocol_options: {max_requests_per_connection: 2}\n")
	c := listenerrig.Dial(t, addr)
	br := bufio.NewReader(c)
	for i, last := range []bool{false, true} {
		if resp := exchange(t, c, br, "GET / HTTP/1.1\r\nHost: h"); resp.Close != last {
			t.Errorf("response %d: Connection: close is %v", i+1, resp.Close)
		}
	}
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("after the last response: %v", err)
	}
	r.WantStat("http.in.downstream_cx_max_requests_reached", "1")

	addr = r.Serve("stat_prefix: old\n" + httprig.Routes(ok) + "common_http_protocol_options: {max_connection_duration: 0.05s}\ndrain_timeout: 0.05s\n")
	c = listenerrig.Dial(t, addr)
	br = bufio.NewReader(c)
	exchange(t, c, br, "GET / HTTP/1.1\r\nHost: h")
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("after max_connection_duration and drain_timeout: %v", err)
	}
	r.WantStat("http.old.downstream_cx_max_duration_reached", "1")
}
