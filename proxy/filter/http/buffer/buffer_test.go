package buffer_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/internal/listenerrig"
	"github.com/weirproxy/weir/proxy/filter/http/buffer"
)

func start(t *testing.T) *filterrig.Rig {
	return filterrig.Start(t, httprig.Options{},
		filterrig.Route("/off", "b", buffer.RouteTypeURL, "disabled: true")+", "+filterrig.Route("/small", "b", buffer.RouteTypeURL, "buffer: {max_request_bytes: 3}")+", {match: {prefix: /}, route: {cluster: u}}",
		filterrig.Filter("b", buffer.TypeURL, "max_request_bytes: 10"))
}

func TestLimit(t *testing.T) {
	r := start(t)
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/", "0123456789", 200}, {"/", "0123456789x", 413}, {"/", "", 200}, {"/off", "0123456789x", 200}, {"/small", "0123", 413}, {"/small", "012", 200},
	} {
		if a := r.Do("POST", c.path, c.body); a.Status != c.status || c.status == 200 && !strings.HasSuffix(a.Body, c.body) {
			t.Errorf("%s %q: %+v", c.path, c.body, a)
		}
	}
}

// TestWholeRequest sends a chunked request in pieces: the upstream gets it
// with its length.
func TestWholeRequest(t *testing.T) {
	r := start(t)
	c := listenerrig.Dial(t, r.Address)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	r.WantStat("http.in.downstream_rq_active", "1")
	if n := r.Stat("cluster.u.upstream_rq_total"); n != "0" {
		t.Errorf("%s requests upstream before the request is whole", n)
	}
	fmt.Fprint(c, "3\r\ndef\r\n0\r\n\r\n")
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(a.Body)
	if !strings.Contains(string(b), "content-length: 6\n") || !strings.HasSuffix(string(b), "abcdef") {
		t.Errorf("%q", b)
	}
}
