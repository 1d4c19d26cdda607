package grpchttp1reversebridge_test

import (
	"io"
	stdhttp "net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/httprig"
)

// TestFrames: the server sees a message without its frame and of its own type,
// the client the answer with one.
func TestFrames(t *testing.T) {
	r := httprig.New(t, httprig.Options{})
	r.Cluster("u", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		if string(b) != "hi" || q.ContentLength != 2 || q.Header.Get("accept") != "application/x-proto" {
			t.Errorf("the server got %q, %v", b, q.Header)
		}
		w.Header().Set("content-type", q.URL.Path[1:])
		io.WriteString(w, "hello")
	}))
	addr := r.Serve(httprig.Routes(`{match: {prefix: /}, route: {cluster: u}}`) + `
http_filters:
- name: b
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.grpc_http1_reverse_bridge.v3.FilterConfig, content_type: application/x-proto, withhold_grpc_frames: true}
- name: r
  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`)
	for path, want := range map[string]string{"/application/x-proto": "\x00\x00\x00\x00\x05hello", "/text/plain": ""} {
		resp, err := stdhttp.Post("http://"+addr+path, "application/grpc+proto", strings.NewReader("\x00\x00\x00\x00\x02hi"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if refused := resp.Header.Get("grpc-status") == "2"; string(body) != want || refused != (want == "") {
			t.Errorf("%s: %q, %v", path, body, resp.Header)
		}
	}
}
