package oauth

import (
	"testing"
	"time"
)

func TestEncode(t *testing.T) {
	const s = "a%b+c~d é&=?:/-_."
	if got, want := FormEncode(s), "a%b%2Bc%7Ed %C3%A9%26%3D%3F%3A%2F-_."; got != want {
		t.Errorf("form: %s, want %s", got, want)
	}
	if got, want := QueryEncode(s), "a%25b%2Bc%7Ed%20%C3%A9%26%3D%3F%3A%2F-_."; got != want {
		t.Errorf("query: %s, want %s", got, want)
	}
	for uri, want := range map[string][2]string{"http://a:1/b?c": {"a:1", "/b?c"}, "a": {"a", "/"}, "a/b": {"a", "/b"}} {
		if host, path := HostAndPath(uri); host != want[0] || path != want[1] {
			t.Errorf("%s: %s %s", uri, host, path)
		}
	}
}

func TestParseResponse(t *testing.T) {
	r, err := ParseResponse([]byte(`{"access_token": "a", "id_token": null, "expires_in": "60", "more": {}}`))
	if err != nil || r != (Response{AccessToken: "a", HasAccessToken: true, ExpiresIn: time.Minute, HasExpiresIn: true}) {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := ParseResponse([]byte(`{"expires_in": 1e30}`)); err != nil || r.ExpiresIn != maxLifetime {
		t.Errorf("for ever: %+v, %v", r, err)
	}
	for _, bad := range []string{``, `x`, `{"access_token": 5}`, `{"expires_in": "soon"}`, `{"expires_in": -1}`, `{"expires_in": 1.5}`, `{"access_token": "a\nb"}`} {
		if r, err := ParseResponse([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, r)
		}
	}
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte(`{"access_token": "a", "expires_in": 5}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseResponse(b); err == nil && (r.ExpiresIn < 0 || !ValidValue(r.AccessToken)) {
			t.Errorf("%+v", r)
		}
	})
}
