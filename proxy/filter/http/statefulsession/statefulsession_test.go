package statefulsession_test

import (
	"encoding/base64"
	stdhttp "net/http"
	"strings"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/statefulsession"
)

func filter(kind, state, more string) string {
	return filterrig.Filter("s", statefulsession.TypeURL, `stat_prefix: p, session_state: {name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.stateful_session.`+kind+", "+state+"}}"+more)
}

// hosts starts a rig with a cluster "two" of two hosts, which say who they are
// in x-host.
func hosts(t *testing.T, filters ...string) (*filterrig.Rig, []string) {
	t.Helper()
	r := httprig.New(t, httprig.Options{})
	var addresses []string
	for range 2 {
		var self string
		self = r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
			w.Header().Set("x-host", self)
			w.Header().Set("x-s", q.Header.Get("x-s"))
			w.Header().Set("x-cookie", q.Header.Get("cookie"))
		})
		addresses = append(addresses, self)
	}
	r.Cluster("two", "", addresses...)
	return filterrig.StartOn(t, r, "{match: {prefix: /}, route: {cluster: two}}", filters...), addresses
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestCookie: the first answer's cookie brings all requests to its host.
func TestCookie(t *testing.T) {
	r, addresses := hosts(t, filter("cookie.v3.CookieBasedSessionState", "cookie: {name: g, ttl: 60s, path: /}", ""))
	first := r.Get("/")
	line := first.Header.Get("set-cookie")
	if !strings.HasPrefix(line, `g="`) || !strings.HasSuffix(line, `"; Max-Age=60; Path=/; HttpOnly`) {
		t.Fatalf("set-cookie: %s", line)
	}
	cookie, _, _ := strings.Cut(line, ";")
	for range 4 {
		if a := r.Get("/", "cookie", cookie); a.Header.Get("x-host") != first.Header.Get("x-host") || a.Header.Get("set-cookie") != "" {
			t.Errorf("%+v, want host %s", a, first.Header.Get("x-host"))
		}
	}
	for _, a := range addresses { // as Envoy once wrote it
		if got := r.Get("/", "cookie", "g="+b64(a)).Header.Get("x-host"); got != a {
			t.Errorf("reached %s, want %s", got, a)
		}
	}
	r.WantStat("http.in.stateful_session.p.routed", "6")
	r.WantStat("http.in.stateful_session.p.failed_open", "1")
}

func TestStrict(t *testing.T) {
	r, addresses := hosts(t, filter("header.v3.HeaderBasedSessionState", "name: X-S", ", strict: true, status_on_strict_destination_not_found: 410"))
	if a := r.Get("/", "x-s", b64(addresses[1])); a.Header.Get("x-host") != addresses[1] {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/", "x-s", b64("127.0.0.1:1")); a.Status != 410 || a.Body != "no healthy upstream" {
		t.Errorf("a host that is not there: %+v", a)
	}
	if a := r.Get("/"); a.Header.Get("x-s") != b64(a.Header.Get("x-host")) {
		t.Errorf("no session yet: %+v", a)
	}
	r.WantStat("http.in.stateful_session.p.failed_closed", "1")
}

func TestEnvelope(t *testing.T) {
	r, addresses := hosts(t, filter("envelope.v3.EnvelopeSessionState", "header: {name: x-s}", ""))
	a := r.Get("/", "x-s", b64(addresses[1])+";UV:"+b64("mine"))
	if want := b64(addresses[1]) + ";UV:" + b64("mine"); a.Header.Get("x-host") != addresses[1] || a.Header.Get("x-s") != want {
		t.Errorf("%+v, want x-s %s", a, want)
	}
}
