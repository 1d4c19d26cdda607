package credentials_test

import (
	"io"
	stdhttp "net/http"
	"sync/atomic"
	"testing"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/credentials"
)

func filter(credential, more string) string {
	return filterrig.Filter("c", credentials.TypeURL, `credential: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.injected_credentials.`+credential+"}}"+more)
}

func TestGeneric(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{Secrets: map[string]string{"s": "one"}}, "",
		filter("generic.v3.Generic, credential: {name: s}, header: X-Key, header_value_prefix: \"key \"", ""))
	if a := r.Get("/"); a.Sent("x-key") != "key one" {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/", "x-key", "mine"); a.Sent("x-key") != "mine" {
		t.Errorf("the client's own: %+v", a)
	}
	r.SetSecret("s", "two")
	if a := r.Get("/"); a.Sent("x-key") != "key two" {
		t.Errorf("rotated: %+v", a)
	}
	r.SetSecret("s", "")
	if a := r.Get("/"); a.Status != 401 || a.Body != "Failed to inject credential." {
		t.Errorf("none: %+v", a)
	}
	r.WantStat("http.in.credential_injector.injected", "2")
	r.WantStat("http.in.credential_injector.already_exists", "1")
	r.WantStat("http.in.credential_injector.failed", "1")
}

func TestOverwriteAndWithout(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{}, "",
		filter("generic.v3.Generic, credential: {name: late, sds_config: {ads: {}}}", ", overwrite: true, allow_request_without_credential: true"))
	if a := r.Get("/", "authorization", "mine"); a.Sent("authorization") != "mine" {
		t.Errorf("before there is a secret: %+v", a)
	}
	r.SetSecret("late", "s")
	if a := r.Get("/", "authorization", "mine"); a.Sent("authorization") != "s" {
		t.Errorf("overwritten: %+v", a)
	}
}

// TestToken: the token is fetched anew when the server had failed, and a
// request in between is refused.
func TestToken(t *testing.T) {
	var asked atomic.Int32
	body := make(chan string, 9)
	filters := filter("oauth2.v3.OAuth2, token_endpoint: {cluster: auth, uri: \"http://auth/token\", timeout: 5s}, token_fetch_retry_interval: 1s, scopes: [a, b], endpoint_params: [{name: z, value: \"1&\"}, {name: b, value: c}], "+
		"client_credentials: {client_id: me, client_secret: {name: s}}", "")
	r := httprig.New(t, httprig.Options{Secrets: map[string]string{"s": "tok"}})
	r.Cluster("auth", "", r.Upstream(func(w stdhttp.ResponseWriter, q *stdhttp.Request) {
		b, _ := io.ReadAll(q.Body)
		if asked.Add(1) == 1 {
			w.WriteHeader(500)
		}
		io.WriteString(w, `{"access_token": "AAA", "expires_in": 3600}`)
		body <- string(b)
	}))
	f := filterrig.StartOn(t, r, "", filters)
	if got, want := <-body, "grant_type=client_credentials&client_id=me&client_secret=tok&scope=a%20b&b=c&z=1%26"; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	f.WantStat("http.in.credential_injector.oauth2.token_fetch_failed_on_bad_response_code", "1")
	if a := f.Get("/"); a.Status != 401 {
		t.Errorf("without a token: %+v", a)
	}
	f.WantStat("http.in.credential_injector.oauth2.token_fetched", "1")
	if a := f.Get("/"); a.Sent("authorization") != "Bearer AAA" {
		t.Errorf("%+v", a)
	}
}

func TestRefused(t *testing.T) {
	filterrig.WantRefused(t, "no secret", "", filter("generic.v3.Generic, credential: {name: s}", ""))
	filterrig.WantRefused(t, "weir has no injected credential", "", filterrig.Filter("c", credentials.TypeURL, `credential: {name: c, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}`))
}
