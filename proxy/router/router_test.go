package router_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	stdhttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/internal/tcprig"
)

// do sends a request and returns the response with its body.
func do(t *testing.T, addr, method, path, body string, headers ...string) (*stdhttp.Response, string) {
	t.Helper()
	rq, err := stdhttp.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	rq.Host = "h.example:81"
	for i := 0; i < len(headers); i += 2 {
		rq.Header.Set(headers[i], headers[i+1])
	}
	resp, err := stdhttp.DefaultTransport.RoundTrip(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// TestMirrors: a copy of the request, body and all, goes to another cluster,
// and its answer nowhere.
func TestMirrors(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	seen := make(chan string, 10)
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) { io.Copy(w, q.Body) }))
	r.Cluster("m", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		seen <- fmt.Sprintf("%s %s %s", q.Method, q.Host, b)
		stdhttp.Error(w, "never seen", 500)
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u, request_mirror_policies: [{cluster: m}]}}`))
	if resp, body := do(t, addr, "POST", "/", "hello"); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("answer: %d %q", resp.StatusCode, body)
	}
	if got := <-seen; got != "POST h.example-shadow:81 hello" {
		t.Errorf("mirrored: %s", got)
	}
	r.WantStat("cluster.m.upstream_rq_500", "1")
}

// TestAltStats: a request from inside counts under the name that it gives, too.
func TestAltStats(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		fmt.Fprint(w, q.Header.Get("x-envoy-upstream-alt-stat-name"))
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u}}`) + "internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}\n")
	for _, from := range []string{"10.0.0.1", "8.8.8.8"} {
		if _, body := do(t, addr, "GET", "/", "", "x-forwarded-for", from, "x-envoy-upstream-alt-stat-name", "mine"); body != "" {
			t.Errorf("the upstream was told %q", body)
		}
	}
	r.WantStat("cluster.u.upstream_rq_200", "2")
	r.WantStat("cluster.u.mine.upstream_rq_200", "1")
	r.WantStat("cluster.u.mine.internal.upstream_rq_200", "1")
}

// TestInternalRedirect: the body is sent again, and a redirect too many is
// passed on.
func TestInternalRedirect(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		io.Copy(io.Discard, q.Body)
		w.Header().Set("Location", "http://other.example"+q.Header.Get("X-To"))
		w.WriteHeader(307)
	}))
	r.Cluster("v", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		fmt.Fprintf(w, "%s %s %s %s", q.Method, q.Host, b, q.Header.Get("X-Envoy-Original-Url"))
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /v}, route: {cluster: v}}, {match: {prefix: /}, route: {cluster: u, internal_redirect_policy: {redirect_response_codes: [307]}}}`))
	if _, body := do(t, addr, "POST", "/a", "hello", "X-To", "/v"); body != "POST other.example hello http://h.example:81/a" {
		t.Errorf("followed: %s", body)
	}
	if resp, _ := do(t, addr, "GET", "/a", "", "X-To", "/again"); resp.StatusCode != 307 {
		t.Errorf("a second redirect: %d", resp.StatusCode)
	}
	r.WantStat("cluster.u.upstream_internal_redirect_succeeded_total", "2")
	r.WantStat("cluster.u.upstream_internal_redirect_failed_total", "1")
	r.WantStat("http.in.downstream_rq_active", "0")
}

// TestHedging: the slow first try goes on while the second is made; whichever
// answers first is used.
func TestHedging(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	var n atomic.Int32
	release := make(chan bool)
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		if q.URL.Path == "/first" && n.Add(1) == 2 || q.URL.Path == "/second" && n.Add(1) == 1 {
			select {
			case <-release:
			case <-q.Context().Done():
			}
			return
		}
		if q.URL.Path == "/first" {
			time.Sleep(100 * time.Millisecond) // longer than the try's own timeout
		}
		fmt.Fprint(w, q.Header.Get("X-Envoy-Attempt-Count"))
	}))
	addr := r.Serve(`route_config: {virtual_hosts: [{name: v, domains: ["*"], include_request_attempt_count: true, routes: [{match: {prefix: /}, route: {cluster: u, hedge_policy: {hedge_on_per_try_timeout: true}, retry_policy: {retry_on: 5xx, num_retries: 1, per_try_timeout: 0.05s}}}]}]}`)
	for path, want := range map[string]string{"/first": "1", "/second": "2"} {
		n.Store(0)
		if resp, body := do(t, addr, "GET", path, ""); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d, try %q", path, resp.StatusCode, body)
		}
	}
	close(release)
}

// TestConnectIsTerminated: what follows a CONNECT is a TCP stream, behind a
// PROXY protocol header.
func TestConnectIsTerminated(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("tcp", "", tcprig.Start(t, func(c net.Conn) {
		line, _ := bufio.NewReader(c).ReadString('\n')
		fmt.Fprintf(c, "first line: %s", line)
	}).String())
	addr := r.Serve(httprig.Routes(`{match: {connect_matcher: {}}, route: {cluster: tcp, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {proxy_protocol_config: {version: V1}}}]}}`))
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := stdhttp.ReadResponse(br, &stdhttp.Request{Method: "CONNECT"})
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	b, err := io.ReadAll(br)
	if want := fmt.Sprintf("first line: PROXY TCP4 127.0.0.1 127.0.0.1 %d ", c.LocalAddr().(*net.TCPAddr).Port); err != nil || !strings.HasPrefix(string(b), want) {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
}

// TestRetryHosts: a retry goes to another host, though the balancer is random.
func TestRetryHosts(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	bad := r.Upstream(func(w stdhttp.ResponseWriter, _ *stdhttp.Request) { w.WriteHeader(503) })
	good := r.Upstream(func(stdhttp.ResponseWriter, *stdhttp.Request) {})
	r.Cluster("u", "lb_policy: RANDOM", bad, good)
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u, retry_policy: {retry_on: 5xx, host_selection_retry_max_attempts: 60, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts}]}}}`))
	for range 30 {
		if resp, _ := do(t, addr, "GET", "/", ""); resp.StatusCode != 200 {
			t.Fatalf("%d", resp.StatusCode)
		}
	}
}

// TestPerTryIdleTimeout cuts off a response that falls silent.
func TestPerTryIdleTimeout(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("u", "", r.Upstream(func(_ stdhttp.ResponseWriter, q *stdhttp.Request) { <-q.Context().Done() }))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u, retry_policy: {per_try_idle_timeout: 0.05s}}}`))
	if resp, body := do(t, addr, "GET", "/", ""); resp.StatusCode != 504 || body != "upstream request timeout" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	r.WantStat("cluster.u.upstream_rq_per_try_idle_timeout", "1")
}

// TestPreserveCase: field names reach the upstream, and come back, as they
// were written.
func TestPreserveCase(t *testing.T) {
	const preserve = `{http_protocol_options: {header_key_format: {stateful_formatter: {name: p, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig}}}}}`
	r := httprig.New(t, httprig.Options{})
	seen := make(chan string, 1)
	upstream := tcprig.Start(t, func(c net.Conn) {
		br, head := bufio.NewReader(c), ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := br.ReadString('\n')
			if err != nil {
				break
			}
			head += line
		}
		seen <- head
		io.WriteString(c, "HTTP/1.1 200 OK\r\nX-AnSwer: 1\r\nContent-LENGTH: 0\r\n\r\n")
	}).String()
	r.Cluster("u", `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: `+preserve+`}}`, upstream)
	addr := r.Serve(httprig.Routes("{match: {prefix: /}, route: {cluster: u}}") + strings.Trim(preserve, "{}") + "}}}}\n")
	c := listenerrig.Dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHOST: h\r\nX-MiXed: 1\r\nlower: 2\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"\r\nHOST: h\r\n", "\r\nX-MiXed: 1\r\n", "\r\nlower: 2\r\n"} {
		if head := <-seen; !strings.Contains(head, want) {
			t.Errorf("upstream received %q without %q", head, want)
		} else {
			seen <- head
		}
	}
	b, _ := io.ReadAll(c)
	for _, want := range []string{"\r\nX-AnSwer: 1\r\n", "\r\nContent-LENGTH: 0\r\n", "\r\nserver: weir\r\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the client received %q without %q", b, want)
		}
	}
}
