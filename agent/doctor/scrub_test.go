package doctor

import (
	"strings"
	"testing"
)

func TestScrub(t *testing.T) {
	for name, tt := range map[string]struct{ in, stays string }{
		"a header":        {`{"header":{"key":"Authorization","value":"Bearer hidden"},"append":true}`, "append"},
		"bytes":           {`{"key":"x-api-key","raw_value":"hidden"}`, "x-api-key"},
		"a matcher":       {`[{"name":"cookie","string_match":{"exact":"hidden"}}]`, "cookie"},
		"a field":         {`{"a":{"redis_password":"hidden","max":12345678901234567890}}`, "12345678901234567890"},
		"on the command":  {`{"command_line_options":{"config_yaml":"{token: hidden}","concurrency":2}}`, "concurrency"},
		"a struct":        {`{"metadata":{"access_token":"hidden","zone":"a"}}`, `"zone": "a"`},
		"nothing to hide": {`{"key":"x-request-id","value":"seen"}`, "seen"},
		"text":            {"cluster.web.upstream_rq_total: 7\n", "upstream_rq_total: 7\n"},
		"a tree of text":  {"└─ prefix / and header cookie=hidden → web", "→ web"},
		"a secret's name": {`{"secret_name":"web-cert","name":"token","type":"seen"}`, "web-cert"},
	} {
		got := string(scrub([]byte(tt.in)))
		if strings.Contains(got, "hidden") || !strings.Contains(got, tt.stays) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
