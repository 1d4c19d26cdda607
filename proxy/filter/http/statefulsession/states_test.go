package statefulsession

import (
	"testing"

	"github.com/weirproxy/weir/proxy/http"
)

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		path, request string
		want          bool
	}{{"", "/x", true}, {"/", "/x", true}, {"/a", "/a", true}, {"/a", "/a?b", true}, {"/a", "/a/b", true}, {"/a", "/ab", false}, {"/a/", "/a", false}, {"/a/", "/a/b", true}} {
		if covers(c.path, c.request) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(encode(cookiePayload("127.0.0.1:80", 5)), "/")
	f.Fuzz(func(t *testing.T, value, path string) {
		for _, s := range []state{&cookieState{name: "g", path: "/a"}, &headerState{"x"}, &envelopeState{"x"}} {
			h := &http.HeaderMap{}
			h.Add(http.Path, path)
			h.Add(http.Cookie, "g="+value)
			h.AddName("x", value)
			address, found, ok := s.read(h, 6)
			if address != "" && (!found || !ok) {
				t.Errorf("%T: %q, %v, %v", s, address, found, ok)
			}
		}
	})
}
