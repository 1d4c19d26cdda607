package jwtauthn_test

import (
	"fmt"
	"io"
	stdhttp "net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/jwtauthn"
)

func jwt(config string) string { return filterrig.Filter("jwt", jwtauthn.TypeURL, config) }

func TestLocalKeys(t *testing.T) {
	s := jwtauthn.NewSigner(t)
	r := filterrig.Start(t, httprig.Options{}, "", jwt(fmt.Sprintf(`providers: {p: {issuer: me, audiences: [a], local_jwks: {inline_string: %q}, claim_to_headers: [{header_name: x-sub, claim_name: sub}], jwt_cache_config: {}}},
		rules: [{match: {prefix: /open}}, {match: {prefix: /}, requires: {provider_name: p}}]`, s.Set)))
	now := time.Now().Unix()
	good := s.Token(t, fmt.Sprintf(`{"iss":"me","sub":"bob","aud":"a","exp":%d}`, now+60))
	other := jwtauthn.NewSigner(t)
	for _, c := range []struct {
		name, token string
		status      int
		body        string
	}{
		{"good", good, 200, ""},
		{"again, from the cache", good, 200, ""},
		{"expired a minute and more ago", s.Token(t, fmt.Sprintf(`{"iss":"me","aud":"a","exp":%d}`, now-65)), 401, "Jwt is expired"},
		{"expired within the clock's skew", s.Token(t, fmt.Sprintf(`{"iss":"me","sub":"bob","aud":"a","exp":%d}`, now-30)), 200, ""},
		{"not yet valid", s.Token(t, fmt.Sprintf(`{"iss":"me","aud":"a","nbf":%d}`, now+600)), 401, "Jwt not yet valid"},
		{"another issuer", s.Token(t, `{"iss":"you","aud":"a"}`), 401, "Jwt issuer is not configured"},
		{"another audience", s.Token(t, `{"iss":"me","aud":["b","c"]}`), 403, "Audiences in Jwt are not allowed"},
		{"another key", other.Token(t, `{"iss":"me","aud":"a"}`), 401, "Jwt verification fails"},
		{"changed", strings.Replace(good, ".", "x.", 1), 401, ""},
		{"none", "", 401, "Jwt is missing"},
	} {
		var headers []string
		if c.token != "" {
			headers = []string{"authorization", "Bearer " + c.token}
		}
		a := r.Get("/", headers...)
		if a.Status != c.status || c.body != "" && c.name != "changed" && a.Body != c.body {
			t.Errorf("%s: %d %q, want %d %q", c.name, a.Status, a.Body, c.status, c.body)
		}
		if c.status == 200 && (!strings.Contains(a.Body, "x-sub: bob\n") || strings.Contains(a.Body, "authorization")) {
			t.Errorf("%s: the upstream got %s", c.name, a.Body)
		}
	}
	if a := r.Get("/open"); a.Status != 200 {
		t.Errorf("a rule without requirement: %+v", a)
	}
	r.WantStat("http.in.jwt_authn.jwt_cache_hit", "1")
}

// TestRemoteKeys: keys are fetched once, for all who wait, and again after a
// failure.
func TestRemoteKeys(t *testing.T) {
	s := jwtauthn.NewSigner(t)
	var asked atomic.Int32
	var broken atomic.Bool
	broken.Store(true)
	r := filterrig.Start(t, httprig.Options{}, "", jwt(`providers: {p: {issuer: me, remote_jwks: {http_uri: {uri: "http://keys/set", cluster: keys, timeout: 5s}}}}, rules: [{match: {prefix: /}, requires: {provider_name: p}}]`))
	r.Cluster("keys", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		asked.Add(1)
		if broken.Load() {
			w.WriteHeader(500)
			return
		}
		io.WriteString(w, s.Set)
	}))
	token := "Bearer " + s.Token(t, `{"iss":"me"}`)
	if a := r.Get("/", "authorization", token); a.Status != 401 || a.Body != "Jwks remote fetch is failed" {
		t.Errorf("without keys: %+v", a)
	}
	broken.Store(false)
	for range 3 {
		if a := r.Get("/", "authorization", token); a.Status != 200 {
			t.Errorf("with keys: %+v", a)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the keys were asked for %d times, want 2", n)
	}
	r.WantStat("http.in.jwt_authn.jwks_fetch_success", "1")
	r.WantStat("http.in.jwt_authn.jwks_fetch_failed", "1")
}

func TestRoutes(t *testing.T) {
	s := jwtauthn.NewSigner(t)
	route := func(prefix, config string) string {
		return filterrig.Route(prefix, "jwt", jwtauthn.RouteTypeURL, config)
	}
	r := filterrig.Start(t, httprig.Options{}, route("/off", "disabled: true")+","+route("/named", "requirement_name: r")+","+route("/wrong", "requirement_name: q")+", {match: {prefix: /}, route: {cluster: u}}",
		jwt(fmt.Sprintf(`providers: {p: {issuer: me, local_jwks: {inline_string: %q}}}, requirement_map: {r: {provider_name: p}}`, s.Set)))
	for path, want := range map[string]int{"/off": 200, "/named": 401, "/wrong": 403, "/": 200} {
		if a := r.Get(path); a.Status != want {
			t.Errorf("%s: %+v", path, a)
		}
	}
}

func TestRefused(t *testing.T) {
	s := jwtauthn.NewSigner(t)
	for want, config := range map[string]string{
		"invalid local jwks":                   `providers: {p: {local_jwks: {inline_string: "{}"}}}`,
		"is not configured":                    fmt.Sprintf(`providers: {p: {local_jwks: {inline_string: %q}}}, rules: [{match: {prefix: /}, requires: {provider_name: q}}]`, s.Set),
		"Wrong requirement_name":               `rules: [{match: {prefix: /}, requirement_name: q}]`,
		"weir does not support retry_priority": `providers: {p: {remote_jwks: {http_uri: {uri: "http://x/y", cluster: c, timeout: 1s}, retry_policy: {retry_priority: {name: x}}}}}`,
	} {
		filterrig.WantRefused(t, want, "", jwt(config))
	}
}
