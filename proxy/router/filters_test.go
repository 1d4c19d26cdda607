package router_test

import (
	"io"
	stdhttp "net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/weirproxy/weir/internal/httprig"
)

// upstreamLua makes a cluster field of a chain of upstream filters: a script
// and the codec.
func upstreamLua(script string) string {
	return `
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http_protocol_options: {}}
    http_filters:
    - name: lua
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
        default_source_code: {inline_string: ` + strconv.Quote(script) + `}
    - name: codec
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}
`
}

// TestUpstreamFiltersWait: filters of a cluster hold each try's request, and
// its response, which came whole long ago; the body is there in both tries.
func TestUpstreamFiltersWait(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	var calls, tries atomic.Int32
	r.Cluster("side", "", r.Upstream(func(stdhttp.ResponseWriter, *stdhttp.Request) { calls.Add(1) }))
	script := `
function call(h) h:httpCall("side", {[":method"] = "GET", [":path"] = "/", [":authority"] = "s"}, "", 5000) end
function envoy_on_request(h) call(h) h:headers():replace("x-lua", "1") end
function envoy_on_response(h) call(h) h:headers():add("x-answer", "2") end
`
	r.Cluster("u", upstreamLua(script), r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		if tries.Add(1) == 1 {
			w.WriteHeader(503)
		}
		io.WriteString(w, q.Header.Get("x-lua")+string(b))
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u, retry_policy: {retry_on: 5xx}}}`))
	body := strings.Repeat("x", 100_000)
	resp, got := do(t, addr, "POST", "/", body)
	if resp.StatusCode != 200 || got != "1"+body || resp.Header.Get("x-answer") != "2" {
		t.Errorf("%d, %d bytes, x-answer %q", resp.StatusCode, len(got), resp.Header.Get("x-answer"))
	}
	if c, n := calls.Load(), tries.Load(); c != 4 || n != 2 {
		t.Errorf("%d calls and %d tries, want 4 and 2", c, n)
	}
	if resp, got = do(t, addr, "GET", "/", ""); resp.StatusCode != 200 || got != "1" {
		t.Errorf("the stream anew: %d %q", resp.StatusCode, got)
	}
}

// TestUpstreamFilterAnswers: what a cluster's filter answers is the answer to
// the request, and the cluster goes on.
func TestUpstreamFilterAnswers(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	script := `
function envoy_on_request(h) if h:headers():get("x-no") then h:respond({[":status"] = "418"}, "no") end end
`
	r.Cluster("u", upstreamLua(script), r.Upstream(func(w stdhttp.ResponseWriter, _ *stdhttp.Request) {
		io.WriteString(w, "yes")
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u}}`))
	for range 2 {
		if resp, body := do(t, addr, "POST", "/", "b", "x-no", "1"); resp.StatusCode != 418 || body != "no" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if resp, body := do(t, addr, "GET", "/", ""); resp.StatusCode != 200 || body != "yes" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	}
	r.WantStat("cluster.u.upstream_rq_active", "0")
}
