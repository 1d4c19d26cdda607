package filter_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/apikeyauth"
	"github.com/weirproxy/weir/proxy/filter/http/basicauth"
	"github.com/weirproxy/weir/proxy/filter/http/healthcheck"
)

func TestBasicAuth(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("b", basicauth.TypeURL, `users: {inline_string: "me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}, forward_username_header: x-user`))
	if a := r.Get("/", "authorization", "Basic bWU6c2VjcmV0"); a.Sent("x-user") != "me" {
		t.Errorf("me is not let in: %+v", a)
	}
	for _, credentials := range []string{"", "Basic bWU6eA==", "Basic !", "Bearer bWU6c2VjcmV0"} {
		a := r.Get("/", "authorization", credentials)
		if a.Status != 401 || a.Reached() || a.Header.Get("www-authenticate") == "" {
			t.Errorf("%q: %+v", credentials, a)
		}
	}
}

func TestAPIKeyAuth(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{},
		filterrig.Route("/only", "k", apikeyauth.RouteTypeURL, "allowed_clients: [other]")+", {match: {prefix: /}, route: {cluster: u}}",
		filterrig.Filter("k", apikeyauth.TypeURL, `credentials: [{key: secret, client: me}], key_sources: [{header: x-key}, {query: key}, {cookie: key}], forwarding: {header: x-client, hide_credentials: true}`))
	for _, c := range []struct {
		path   string
		header [2]string
		status int
	}{
		{"/", [2]string{"x-key", "secret"}, 200}, {"/?key=secret&a=b", [2]string{"x", "y"}, 200}, {"/", [2]string{"cookie", "a=b; key=secret"}, 200},
		{"/", [2]string{"x-key", "Secret"}, 401}, {"/", [2]string{"x", "y"}, 401}, {"/only", [2]string{"x-key", "secret"}, 403},
	} {
		a := r.Get(c.path, c.header[0], c.header[1])
		if a.Status != c.status || c.status == 200 && (a.Sent("x-client") != "me" || a.Sent("x-key") != "") {
			t.Errorf("%+v: %+v", c, a)
		}
	}
	r.WantStat("http.in.api_key_auth.allowed", "3")
	r.WantStat("http.in.api_key_auth.unauthorized", "2")
}

func TestHealthCheck(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		filterrig.Filter("h", healthcheck.TypeURL, `pass_through_mode: false, headers: [{name: ":path", string_match: {exact: /ok}}], cluster_min_healthy_percentages: {u: {value: 100}}`),
		filterrig.Filter("g", healthcheck.TypeURL, `pass_through_mode: false, headers: [{name: ":path", string_match: {exact: /bad}}], cluster_min_healthy_percentages: {nope: {value: 1}}`),
		filterrig.Filter("i", healthcheck.TypeURL, `pass_through_mode: true, cache_time: 100s, headers: [{name: ":path", string_match: {exact: /kept}}]`))
	for path, want := range map[string]int{"/ok": 200, "/bad": 503} {
		if a := r.Get(path); a.Status != want || a.Reached() {
			t.Errorf("%s: %+v", path, a)
		}
	}
	if a := r.Get("/kept", "x-do", "status=404"); a.Status != 404 || !a.Reached() {
		t.Errorf("first: %+v", a)
	}
	if a := r.Get("/kept"); a.Status != 404 || a.Reached() {
		t.Errorf("the answer is not kept: %+v", a)
	}
	filterrig.WantRefused(t, "cache_time must not be set", "", filterrig.Filter("h", healthcheck.TypeURL, "pass_through_mode: false, cache_time: 1s"))
}
