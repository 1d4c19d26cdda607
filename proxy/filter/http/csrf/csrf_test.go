package csrf_test

import (
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/csrf"
)

func TestOrigins(t *testing.T) {
	const on = "filter_enabled: {default_value: {numerator: 100}}"
	for name, c := range map[string]struct {
		config, method, origin, referer string
		status                          int
	}{
		"same origin":       {on, "POST", "http://a.example", "", 200},
		"same by referer":   {on, "PUT", "", "http://a.example/x?y", 200},
		"another":           {on, "POST", "http://b.example", "", 403},
		"another port":      {on, "DELETE", "http://a.example:81", "", 403},
		"none":              {on, "PATCH", "", "", 403},
		"origin goes first": {on, "POST", "http://b.example", "http://a.example", 403},
		"reading":           {on, "GET", "http://b.example", "", 200},
		"allowed":           {on + ", additional_origins: [{suffix: .example}]", "POST", "https://b.example", "", 200},
		"shadow":            {"filter_enabled: {default_value: {numerator: 0}}, shadow_enabled: {default_value: {numerator: 100}}", "POST", "http://b.example", "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := filterrig.Start(t, httprig.Options{}, "", filterrig.Filter("csrf", csrf.TypeURL, c.config))
			headers := []string{"host", "a.example"}
			if c.origin != "" {
				headers = append(headers, "origin", c.origin)
			}
			if c.referer != "" {
				headers = append(headers, "referer", c.referer)
			}
			if a := r.Do(c.method, "/", "x", headers...); a.Status != c.status {
				t.Errorf("%+v", a)
			}
			if name == "shadow" {
				r.WantStat("http.in.csrf.request_invalid", "1")
			}
		})
	}
}
