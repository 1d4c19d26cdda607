package route

import (
	"testing"

	"github.com/weirproxy/weir/proxy/matcher"
)

func TestTemplateRewrites(t *testing.T) {
	for _, c := range []struct{ template, path, rewrite, want string }{
		{"/a/{x}/b", "/a/1/b", "/z/{x}", "/z/1"},
		{"/a/{x}/b", "/a/1/2/b", "/z/{x}", ""},
		{"/a/{x}/b", "/a//b", "/z/{x}", ""},
		{"/a/*", "/a/b", "/z", "/z"},
		{"/a/*", "/a/", "/z", ""},
		{"/a/**", "/a/", "/z", "/z"},
		{"/a/{rest=**}", "/a/b/c.d", "/{rest}/end", "/b/c.d/end"},
		{"/{v=v1/*}/{id}.json", "/v1/x/7.json", "/{id}/{v}", "/7/v1/x"},
		{"/a.b", "/aXb", "/z", ""},
	} {
		pattern, err := matcher.PathTemplate(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		w, err := newTemplateRewrite(pattern, c.rewrite)
		if err != nil {
			t.Errorf("%s to %s: %v", c.template, c.rewrite, err)
			continue
		}
		if got := w.path(c.path); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.template, c.path, got, c.want)
		}
	}
	for _, bad := range []string{"z", "/{y}", "/{x", "/a}", "//", "/?"} {
		if _, err := newTemplateRewrite("/(?P<x>a)", bad); err == nil {
			t.Errorf("rewrite %q is taken", bad)
		}
	}
}
