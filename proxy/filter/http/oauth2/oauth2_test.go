package oauth2_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	stdhttp "net/http"
	"net/url"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/weirproxy/weir/internal/filterrig"
	"github.com/weirproxy/weir/internal/httprig"
	"github.com/weirproxy/weir/proxy/filter/http/oauth2"
)

// config is the filter's, without further fields.
const config = `token_endpoint: {cluster: auth, uri: "http://auth.example/token", timeout: 5s}, authorization_endpoint: "https://auth.example/authorize?x=1",
 redirect_uri: "http://%REQ(:authority)%/callback", redirect_path_matcher: {path: {exact: /callback}}, signout_path: {path: {exact: /signout}},
 credentials: {client_id: foo, token_secret: {name: token}, hmac_secret: {name: hmac}}, auth_scopes: [openid], forward_bearer_token: true`

func filter(more string) string {
	return filterrig.Filter("o", oauth2.TypeURL, "config: {"+strings.TrimSuffix(config+", "+more, ", ")+"}")
}

// server is an authorization server.
type server struct {
	status int
	answer string
	asked  []string // bodies
}

func (s *server) ServeHTTP(w stdhttp.ResponseWriter, r *stdhttp.Request) {
	b, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, string(b))
	w.WriteHeader(s.status)
	io.WriteString(w, s.answer)
}

func start(t *testing.T, more string) (*filterrig.Rig, *server) {
	t.Helper()
	r := filterrig.Start(t, httprig.Options{Secrets: map[string]string{"token": "tok", "hmac": "hmacsecret"}}, "", filter(more))
	s := &server{200, `{"access_token": "AAA", "id_token": "III", "refresh_token": "RRR", "expires_in": 3600}`, nil}
	r.Cluster("auth", "", r.Upstream(s.ServeHTTP))
	return r, s
}

// cookies are those that an answer sets, as a request has them.
func cookies(a filterrig.Answer) string {
	var out []string
	for _, l := range a.Header.Values("set-cookie") {
		if c, _, _ := strings.Cut(l, ";"); !strings.HasSuffix(c, "=deleted") {
			out = append(out, c)
		}
	}
	return strings.Join(out, "; ")
}

// login goes to a path and comes back from the authorization server.
func login(t *testing.T, r *filterrig.Rig) filterrig.Answer {
	t.Helper()
	a := r.Get("/a?b=c", "host", "app.example")
	to, err := url.Parse(a.Header.Get("location"))
	if err != nil || a.Status != 302 || to.Host != "auth.example" {
		t.Fatalf("not sent to the authorization server: %+v", a)
	}
	q := to.Query()
	if q.Get("x") != "1" || q.Get("client_id") != "foo" || q.Get("redirect_uri") != "http://app.example/callback" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("authorization request: %v", q)
	}
	return r.Get("/callback?code=CODE&state="+q.Get("state"), "host", "app.example", "cookie", cookies(a))
}

func TestLogin(t *testing.T) {
	r, s := start(t, "use_refresh_token: false")
	in := login(t, r)
	if in.Status != 302 || in.Header.Get("location") != "http://app.example/a?b=c" {
		t.Fatalf("not logged in: %+v", in)
	}
	if want := "grant_type=authorization_code&code=CODE&client_id=foo&client_secret=tok&redirect_uri=http%3A%2F%2Fapp.example%2Fcallback&code_verifier="; len(s.asked) != 1 || !strings.HasPrefix(s.asked[0], want) {
		t.Errorf("token request %q, want %q", s.asked, want)
	}
	a := r.Get("/x", "host", "app.example", "cookie", cookies(in)+"; other=1", "authorization", "Bearer forged")
	if a.Sent("authorization") != "Bearer AAA" || a.Sent("cookie") != "BearerToken=AAA; IdToken=III; other=1" {
		t.Errorf("upstream got %s", a.Body)
	}
	if a := r.Get("/x", "host", "other.example", "cookie", cookies(in)); a.Reached() {
		t.Error("the session is taken for another host")
	}
	out := r.Get("/signout", "host", "app.example", "cookie", cookies(in))
	if out.Status != 302 || out.Header.Get("location") != "http://app.example/" || len(out.Header.Values("set-cookie")) != 5 || cookies(out) != "" {
		t.Errorf("sign-out: %+v", out)
	}
	r.WantStat("http.in.oauth_success", "2")
	r.WantStat("http.in.oauth_unauthorized_rq", "2")
}

// TestForgedState: a login that this browser has not begun does not end here.
func TestForgedState(t *testing.T) {
	r, s := start(t, "")
	a, b := r.Get("/"), r.Get("/")
	to, _ := url.Parse(a.Header.Get("location"))
	if got := r.Get("/callback?code=C&state="+to.Query().Get("state"), "cookie", cookies(b)); got.Status != 401 || len(s.asked) != 0 {
		t.Errorf("a foreign state: %+v", got)
	}
	for _, q := range []string{"", "?code=c", "?code=c&state=x", "?error=denied&state=x"} {
		if got := r.Get("/callback" + q); got.Status != 401 || got.Body != "OAuth flow failed." {
			t.Errorf("%s: %+v", q, got)
		}
	}
	r.WantStat("http.in.oauth_failure", "5")
}

// TestRefresh: an expired session is renewed while the request waits.
func TestRefresh(t *testing.T) {
	r, s := start(t, "")
	s.answer = `{"access_token": "NEW", "expires_in": "60"}`
	a := r.Get("/x", "host", "app.example", "cookie", "RefreshToken=R R; other=1")
	if a.Sent("authorization") != "Bearer NEW" || a.Sent("cookie") != "other=1; BearerToken=NEW" || s.asked[0] != "grant_type=refresh_token&refresh_token=R R&client_id=foo&client_secret=tok" {
		t.Errorf("%+v, asked %q", a, s.asked)
	}
	if a := r.Get("/y", "host", "app.example", "cookie", cookies(a)); !a.Reached() {
		t.Errorf("the new session is not valid: %+v", a)
	}
	s.status = 400
	if a := r.Get("/x", "cookie", "RefreshToken=R"); a.Status != 302 {
		t.Errorf("when the refresh is refused: %+v", a)
	}
	r.WantStat("http.in.oauth_refreshtoken_success", "1")
	r.WantStat("http.in.oauth_refreshtoken_failure", "1")
}

// TestEnvoysCookies: a session that an Envoy has made.
func TestEnvoysCookies(t *testing.T) {
	r, _ := start(t, "")
	const session = "OauthHMAC=xP45ISbyJhvFgpr+4kgZdBV090K/cFEZtnuDFCmEucE=; OauthExpires=3795805290; BearerToken=Eif3PwPpAMPprs_Q-bnjfMicSj0r3WfBlD8hWw4t5h0; " +
		"IdToken=afwVmB1wOL9No0vvysyQxHQgOlmoiAAp64UKVOr6ddU; RefreshToken=2f7QO9OYlVY9RgFJfzWMzxlQ7mlpG_Td0jr6odOQIO8"
	if a := r.Get("/", "host", "app.example", "cookie", session); a.Sent("authorization") != "Bearer AAA" {
		t.Errorf("%+v", a)
	}
	if a := r.Get("/", "host", "app.example", "cookie", strings.Replace(session, "3795805290", "3795805291", 1)); a.Sent("cookie") == "" || a.Header.Get("set-cookie") == "" {
		t.Errorf("a forged expiry is only as good as the refresh token: %+v", a)
	}
	const callback = "/callback?code=CODE&state=eyJ1cmwiOiJodHRwOi8vYXBwLmV4YW1wbGUvYT9iPWMiLCJjc3JmX3Rva2VuIjoiNDFjYjY2ZDhiNWViMDA3MS5FUUkxY3NKdWhLN3BNYytRcnFEUEZsaE84N1M4SWVJbHdCMjhNVm8zNXdvPSIsImZsb3dfaWQiOiI0MWNiNjZkOGI1ZWIwMDcxIn0"
	const flow = "OauthNonce.41cb66d8b5eb0071=41cb66d8b5eb0071.EQI1csJuhK7pMc+QrqDPFlhO87S8IeIlwB28MVo35wo=; CodeVerifier.41cb66d8b5eb0071=mTFGQJCFvSljcCv_miD49y_yRc7BLuj1rCwT4KlUSwQbqp8NW2FlHai1ICksIdzO_FMZ00s55UGvuVCGngnhTA"
	if a := r.Get(callback, "host", "app.example", "cookie", flow); a.Header.Get("location") != "http://app.example/a?b=c" {
		t.Errorf("a login that an Envoy has begun: %+v", a)
	}
}

// TestChunks: a token too long for a cookie is split, and put together again.
func TestChunks(t *testing.T) {
	r, s := start(t, "token_cookie_chunking: {max_cookie_size: 512, max_chunks: 3}")
	s.answer = `{"access_token": "` + strings.Repeat("A", 900) + `", "expires_in": 60}`
	in := login(t, r)
	if !strings.Contains(cookies(in), "BearerToken_2=") || !strings.Contains(cookies(in), "BearerToken_chunks=3") {
		t.Fatalf("not split: %v", in.Header)
	}
	if a := r.Get("/", "host", "app.example", "cookie", cookies(in)); a.Sent("authorization") != "Bearer "+strings.Repeat("A", 900) {
		t.Errorf("%+v", a)
	}
	if out := r.Get("/signout", "cookie", cookies(in)); len(out.Header.Values("set-cookie")) != 5+4 {
		t.Errorf("sign-out: %v", out.Header)
	}
	s.answer = `{"access_token": "` + strings.Repeat("A", 2000) + `", "expires_in": 60}`
	if a := login(t, r); a.Status != 503 {
		t.Errorf("a token of too many cookies: %+v", a)
	}
}

func TestMatchers(t *testing.T) {
	r, _ := start(t, `pass_through_matcher: [{name: x, string_match: {exact: pass}}], allow_failed_matcher: [{name: x, string_match: {exact: allow}}], deny_redirect_matcher: [{name: x, string_match: {exact: deny}}]`)
	if a := r.Get("/", "x", "pass", "cookie", "BearerToken=1", "authorization", "z"); a.Sent("cookie") != "BearerToken=1" || a.Sent("authorization") != "z" {
		t.Errorf("passed through: %+v", a)
	}
	a := r.Get("/", "x", "allow", "cookie", "BearerToken=1; a=b", "authorization", "z", "x-envoy-oauth-status", "ok")
	if a.Sent("cookie") != "a=b" || a.Sent("authorization") != "" || a.Sent("x-envoy-oauth-status") != "failed" {
		t.Errorf("allowed: %+v", a)
	}
	if a := r.Get("/", "x", "deny"); a.Status != 401 {
		t.Errorf("denied: %+v", a)
	}
}

// TestSecrets: a secret that comes late, and one that changes.
func TestSecrets(t *testing.T) {
	r := filterrig.Start(t, httprig.Options{Secrets: map[string]string{"hmac": "1"}}, "",
		filterrig.Filter("o", oauth2.TypeURL, "config: {"+strings.Replace(config, "token_secret: {name: token}", "token_secret: {name: token, sds_config: {ads: {}}}", 1)+"}"))
	if a := r.Get("/"); a.Status != 503 || a.Body != "Service Unavailable" {
		t.Errorf("without a secret: %+v", a)
	}
	r.SetSecret("token", "tok")
	s := &server{200, `{"access_token": "AAA", "expires_in": 60}`, nil}
	r.Cluster("auth", "", r.Upstream(s.ServeHTTP))
	in := login(t, r)
	if a := r.Get("/", "host", "app.example", "cookie", cookies(in)); !a.Reached() {
		t.Errorf("with both: %+v", a)
	}
	r.SetSecret("hmac", "2")
	if a := r.Get("/", "host", "app.example", "cookie", cookies(in)); a.Reached() {
		t.Error("the old HMAC secret still counts")
	}
}

// TestAssertion: the client signs who it is.
func TestAssertion(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r, s := start(t, "auth_type: PRIVATE_KEY_JWT, private_key_jwt_config: {signing_algorithm: ES256, assertion_audience: them}")
	if a := login(t, r); a.Status != 401 || len(s.asked) != 0 {
		t.Errorf("with a secret that is no key: %+v", a)
	}
	r.SetSecret("token", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	login(t, r)
	if len(s.asked) != 1 {
		t.Fatalf("asked %q", s.asked)
	}
	form, err := url.ParseQuery(s.asked[0])
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := token.Claims(&key.PublicKey, &claims); err != nil || claims.Subject != "foo" || !claims.Audience.Contains("them") {
		t.Errorf("%+v, %v", claims, err)
	}
}

func TestRefused(t *testing.T) {
	for want, more := range map[string]string{
		"end session endpoint is only supported": `auth_scopes: [user], end_session_endpoint: "https://auth.example/out"`,
		"at most one of forward_bearer_token":    "preserve_authorization_header: true",
		"the Host header are not allowed":        "forward_id_token: {header: host}",
		"conditions":                             "retry_policy: {retry_on: x-conditions}",
	} {
		o := httprig.Options{Secrets: map[string]string{"token": "t", "hmac": "h"}}
		if want == "conditions" {
			want = "weir does not support"
		}
		text := config
		if strings.HasPrefix(more, "auth_scopes") {
			text = strings.Replace(text, "auth_scopes: [openid], ", "", 1)
		}
		filterrig.WantRefusedWith(t, o, want, "", filterrig.Filter("o", oauth2.TypeURL, "config: {"+text+", "+more+"}"))
	}
	filterrig.WantRefused(t, `no secret "token"`, "", filter(""))
}
