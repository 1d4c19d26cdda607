package oauth2

import (
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/secret"
)

func TestSeal(t *testing.T) {
	for _, gcm := range []bool{false, true} {
		for _, n := range []int{0, 1, 15, 16, 17, 5000} {
			text := strings.Repeat("x", n)
			got, legacy, err := open(seal(text, "s", gcm), "s", true)
			if got != text || legacy == gcm || err != nil {
				t.Errorf("gcm %v, %d bytes: %q, %v, %v", gcm, n, got, legacy, err)
			}
		}
		sealed := seal("text", "s", gcm)
		if got, _, err := open(sealed, "other", true); err == nil && got == "text" {
			t.Error("another secret opens it")
		}
	}
	if _, _, err := open(seal("text", "s", false), "s", false); err == nil {
		t.Error("CBC is read though it must not be")
	}
}

func TestJWTAge(t *testing.T) {
	now := time.Unix(1000, 0)
	for token, want := range map[string]time.Duration{
		"eyJhbGciOiJub25lIn0.eyJleHAiOjEwNjB9.c2ln": time.Minute,
		"eyJhbGciOiJub25lIn0.eyJleHAiOjEwfQ.c2ln":   0,
	} {
		if got, ok := jwtAge(token, now); got != want || !ok {
			t.Errorf("%s: %v, %v", token, got, ok)
		}
	}
	for _, token := range []string{"", "a.b", "a.b.c", "e30.e30.x", "eyJhbGciOiJub25lIn0.e30.x"} {
		if _, ok := jwtAge(token, now); ok {
			t.Errorf("%q tells its age", token)
		}
	}
}

func TestURLs(t *testing.T) {
	for _, bad := range []string{"", "a", "/a", "http:/a", "http://", "http:///x", "ht tp://a", "http://a b/", "http://a/\x00", "javascript:x", "//a"} {
		if u, ok := parseURL(bad); ok {
			t.Errorf("%q is %+v", bad, u)
		}
	}
	s := &settings{domains: []string{"a.example", "*.b.example", "::1"}}
	for to, want := range map[string]bool{"http://a.example": true, "https://A.example:8/x": true, "http://x.b.example": true, "http://b.example": false,
		"http://a.example.evil": false, "http://evil/a.example": false, "http://[::1]:8/": true, "a.example": false, "http://a.example@evil/": false, "http://evil@a.example/": true} {
		if s.mayRedirect(to) != want {
			t.Errorf("%s: want %v", to, want)
		}
	}
}

// FuzzCookies: whatever a client sends as cookies and query, it does not make
// a session, and nothing breaks.
func FuzzCookies(f *testing.F) {
	f.Add("OauthHMAC=a; OauthExpires=99999999999; BearerToken_chunks=2; BearerToken_0=a; BearerToken_1=\"b\"", "/callback?code=c&state=eyJ1cmwiOiJ4In0")
	s := &settings{chunks: &chunkSettings{512, 8}, hmacSecret: secret.Fixed("s")}
	s.compileCookies(nil)
	f.Fuzz(func(t *testing.T, cookie, path string) {
		h := &http.HeaderMap{}
		h.Add(http.Cookie, cookie)
		j, st := readJar(h), &Stats{}
		s.reassemble(&j, st)
		s.decrypt(&j, st)
		if s.valid(s.session(j), "a.example", time.Unix(1, 0)) {
			t.Error("a session of nobody's making is valid")
		}
		if c := s.readCallback(path, j); c.problem == "" {
			t.Errorf("a callback of nobody's making is valid: %+v", c)
		}
		s.hideFlow(&j)
		j.write(h)
	})
}
