package extauthz_test

import (
	"fmt"
	"io"
	"net"
	stdhttp "net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/extauthz"
)

// authz answers by the request's x-verdict: a status, or "drop" to hang up.
func authz(w stdhttp.ResponseWriter, q *stdhttp.Request) {
	body, _ := io.ReadAll(q.Body)
	switch v := q.Header.Get("x-verdict"); v {
	case "drop":
		c, _, _ := w.(stdhttp.Hijacker).Hijack()
		c.Close()
	case "":
		w.Header().Set("x-user", "alice")
		w.Header().Set("x-envoy-auth-headers-to-remove", "x-secret")
	default:
		w.Header().Set("x-why", v)
		w.WriteHeader(403)
		fmt.Fprintf(w, "no: %s %s %s %s", q.Method, q.URL, body, q.Header.Get("x-envoy-auth-partial-body"))
	}
}

const service = `http_service: {server_uri: {uri: "http://a", cluster: authz, timeout: 5s}, path_prefix: /check,
	authorization_response: {allowed_upstream_headers: {patterns: [{exact: x-user}]}}}, allowed_headers: {patterns: [{prefix: x-}]}`

func start(t *testing.T, routes, config string) *filterrig.Rig {
	t.Helper()
	r := filterrig.Start(t, httprig.Options{}, routes, filterrig.Filter("authz", extauthz.TypeURL, config))
	r.Cluster("authz", "", r.Upstream(authz))
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	r.Cluster("dead", "", dead.Addr().String())
	return r
}

func TestHTTPService(t *testing.T) {
	r := start(t, "", service)
	ok := r.Get("/a", "x-secret", "s")
	if ok.Status != 200 || !strings.Contains(ok.Body, "x-user: alice\n") || strings.Contains(ok.Body, "x-secret") {
		t.Errorf("allowed: %+v", ok)
	}
	no := r.Do("POST", "/a?b", "body", "x-verdict", "because")
	if no.Status != 403 || no.Body != "no: POST /check/a?b  " || no.Header.Get("x-why") != "because" {
		t.Errorf("denied: %+v", no)
	}
	if bad := r.Get("/", "x-verdict", "drop"); bad.Status != 403 || bad.Body != "" {
		t.Errorf("failed: %+v", bad)
	}
	for name, want := range map[string]string{"ok": "1", "denied": "1", "error": "1", "failure_mode_allowed": "0"} {
		r.WantStat("http.in.ext_authz."+name, want)
	}
	r.WantStat("cluster.u.ext_authz.denied", "1")
}

func TestRequestBody(t *testing.T) {
	r := start(t, "", service+", with_request_body: {max_request_bytes: 8}")
	if no := r.Do("POST", "/", "12345678", "x-verdict", "y"); no.Body != "no: POST /check/ 12345678 false" {
		t.Errorf("whole body: %+v", no)
	}
	if big := r.Do("POST", "/", "123456789", "x-verdict", "y"); big.Status != 413 {
		t.Errorf("too large: %+v", big)
	}
	if ok := r.Do("POST", "/", "123"); ok.Status != 200 || !strings.HasSuffix(ok.Body, "\n123") {
		t.Errorf("forwarded: %+v", ok)
	}
}

func TestPartOfRequestBody(t *testing.T) {
	r := start(t, "", service+", with_request_body: {max_request_bytes: 4, allow_partial_message: true}")
	if no := r.Do("POST", "/", "123456789", "x-verdict", "y"); no.Body != "no: POST /check/ 1234 true" {
		t.Errorf("denied: %+v", no)
	}
	if ok := r.Do("POST", "/", "123456789"); ok.Status != 200 || !strings.HasSuffix(ok.Body, "\n123456789") {
		t.Errorf("forwarded: %+v", ok)
	}
}

func TestFailure(t *testing.T) {
	dead := strings.Replace(service, "cluster: authz", "cluster: dead", 1)
	r := start(t, "", dead+", failure_mode_allow: true, failure_mode_allow_header_add: true")
	if ok := r.Get("/"); ok.Status != 200 || !strings.Contains(ok.Body, "x-envoy-auth-failure-mode-allowed: true\n") {
		t.Errorf("allowed on failure: %+v", ok)
	}
	r.WantStat("http.in.ext_authz.failure_mode_allowed", "1")
	r = start(t, "", strings.Replace(service, "cluster: authz", "cluster: none", 1)+", status_on_error: {code: 503}")
	if no := r.Get("/"); no.Status != 503 {
		t.Errorf("no such cluster: %+v", no)
	}
}

func TestRoutes(t *testing.T) {
	route := func(prefix, config string) string {
		return filterrig.Route(prefix, "authz", extauthz.RouteTypeURL, config)
	}
	r := start(t, route("/off", "disabled: true")+","+route("/dead", `check_settings: {http_service: {server_uri: {uri: "http://a", cluster: dead, timeout: 1s}}}`)+
		", {match: {prefix: /}, route: {cluster: u}}", service+", with_request_body: {max_request_bytes: 4}")
	for path, want := range map[string]int{"/off": 200, "/dead": 403, "/": 403} {
		if a := r.Get(path, "x-verdict", "n"); a.Status != want {
			t.Errorf("%s: %+v", path, a)
		}
	}
	r.WantStat("http.in.ext_authz.error", "1")
	r.WantStat("http.in.ext_authz.denied", "1")
}

// TestShadow: whatever the server says, the request passes.
func TestShadow(t *testing.T) {
	r := start(t, "{match: {prefix: /}, route: {cluster: u}, response_headers_to_add: [{header: {key: x-shadow, value: \"%FILTER_STATE(authz.shadow:PLAIN)%\"}}]}", service+", shadow_mode: true")
	for verdict, want := range map[string]string{
		"":     `{"check_result":"OK","status_code":200}`,
		"no":   `{"check_result":"DENIED","status_code":403,"response_headers":[`,
		"drop": `{"check_result":"ERROR","status_code":403}`,
	} {
		if a := r.Get("/", "x-verdict", verdict); !a.Reached() || !strings.HasPrefix(a.Header.Get("x-shadow"), want) {
			t.Errorf("%q: %+v", verdict, a)
		}
	}
	r.WantStat("http.in.ext_authz.shadow_denied", "1")
	r.WantStat("http.in.ext_authz.shadow_error", "1")
}

// TestCallInLogs: what became of the call is in the filter state, unless the
// name is taken there.
func TestCallInLogs(t *testing.T) {
	route := `{match: {prefix: /}, route: {cluster: u}, response_headers_to_add: [{header: {key: x-call, value: "%FILTER_STATE(authz:PLAIN)% %CEL(filter_state.authz.latency_us > 0)% %FILTER_STATE(authz:FIELD:bytesSent)%"}}]}`
	r := start(t, route, service+", emit_filter_state_stats: true, filter_metadata: {a: b}")
	if got := r.Get("/").Header.Get("x-call"); got != "true" {
		t.Errorf("over HTTP: %q", got)
	}
	r.WantStat("http.in.ext_authz.filter_state_name_collision", "0")
}

// TestResponseLimits: a server that adds more to a response than an upstream
// could have sent is not obeyed.
func TestResponseLimits(t *testing.T) {
	config := strings.Replace(service, "{allowed_upstream_headers", "{allowed_client_headers_on_success: {patterns: [{prefix: x-many}]}, allowed_upstream_headers", 1)
	many := func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		for i := range 98 {
			w.Header().Set(fmt.Sprintf("x-many-%d", i), "1")
		}
	}
	for limits, want := range map[string]int{"": 200, ", enforce_response_header_limits: true": 500} {
		r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("authz", extauthz.TypeURL, config+limits))
		r.Cluster("authz", "", r.Upstream(many))
		if a := r.Get("/"); a.Status != want || (want == 500) != (a.Header.Get("x-many-1") == "") {
			t.Errorf("%q: %+v", limits, a)
		}
		r.WantStat("http.in.ext_authz.response_header_limits_reached", map[int]string{200: "0", 500: "1"}[want])
	}
}

// TestWithoutUpstream: a route that answers itself has no cluster to count for.
func TestWithoutUpstream(t *testing.T) {
	r := start(t, "{match: {prefix: /}, direct_response: {status: 204}}", service)
	if a := r.Get("/"); a.Status != 204 {
		t.Errorf("%+v", a)
	}
}

func TestPathOverride(t *testing.T) {
	r := start(t, "", strings.Replace(service, "path_prefix: /check", `path_override: "/fixed?x"`, 1))
	if no := r.Get("/a?b", "x-verdict", "y"); no.Body != "no: GET /fixed?x  " {
		t.Errorf("%+v", no)
	}
}

func TestRefused(t *testing.T) {
	for want, config := range map[string]string{
		"takes false only":                     service + ", emit_client_span: true",
		"Only one of path_prefix":              `http_service: {server_uri: {uri: "http://a", cluster: u, timeout: 1s}, path_prefix: /x, path_override: /y}`,
		"one of grpc_service and http_service": "failure_mode_allow: true",
		"path_prefix":                          `http_service: {server_uri: {uri: "http://a", cluster: u, timeout: 1s}, path_prefix: x}`,
		"google_grpc":                          "grpc_service: {google_grpc: {target_uri: x, stat_prefix: why}}",
	} {
		filterrig.WantRefused(t, want, "", filterrig.Filter("authz", extauthz.TypeURL, config))
	}
}
