package cors_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/cors"
)

const policy = `allow_origin_string_match: [{exact: "http://a.example"}], allow_methods: "GET, PUT", allow_headers: x-a, expose_headers: x-b, max_age: "60", allow_credentials: true`

func start(t *testing.T, policy string) *filterrig.Rig {
	return filterrig.Start(t, httprig.Options{Runtime: func(key string, def uint64) uint64 {
		if key == "switch" {
			return 0
		}
		return def
	}}, filterrig.Route("/", "cors", cors.RouteTypeURL, policy), filterrig.Filter("cors", cors.TypeURL, ""))
}

func TestPreflight(t *testing.T) {
	r := start(t, policy)
	a := r.Do("OPTIONS", "/", "", "origin", "http://a.example", "access-control-request-method", "PUT")
	if a.Status != 200 || a.Reached() {
		t.Fatalf("not answered here: %+v", a)
	}
	for name, want := range map[string]string{"allow-origin": "http://a.example", "allow-methods": "GET, PUT", "allow-headers": "x-a", "max-age": "60", "allow-credentials": "true", "allow-private-network": ""} {
		if got := a.Header.Get("access-control-" + name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r.WantStat("http.in.cors.origin_valid", "1")
}

func TestRequests(t *testing.T) {
	for name, c := range map[string]struct {
		policy, origin string
		allowed        bool
	}{
		"allowed":         {policy, "http://a.example", true},
		"another origin":  {policy, "http://b.example", false},
		"no origin":       {policy, "", false},
		"any origin":      {`allow_origin_string_match: [{exact: "*"}]`, "null", true},
		"off by runtime":  {policy + ", filter_enabled: {default_value: {numerator: 100}, runtime_key: switch}", "http://a.example", false},
		"shadow only":     {policy + ", filter_enabled: {default_value: {numerator: 0}}, shadow_enabled: {default_value: {numerator: 100}}", "http://a.example", false},
		"another pattern": {`allow_origin_string_match: [{safe_regex: {regex: ".*b.*"}}]`, "http://b.example", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c.policy)
			var headers []string
			if c.origin != "" {
				headers = []string{"origin", c.origin}
			}
			a := r.Get("/", headers...)
			want := ""
			if c.allowed {
				want = c.origin
			}
			if got := a.Header.Get("access-control-allow-origin"); got != want || !a.Reached() {
				t.Errorf("allow-origin is %q, want %q", got, want)
			}
		})
	}
}
