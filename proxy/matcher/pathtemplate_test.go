package matcher

import (
	"regexp"
	"testing"
)

func TestBadPathTemplates(t *testing.T) {
	for _, bad := range []string{"", "a", "/a//b", "/{x", "/{1}", "/{x}/{x}", "/{x=}", "/**/a/*", "/**/{x}", "/a b", "/{a_name_too_long_for_it}", "/{a}/{b}/{c}/{d}/{e}/{f}"} {
		if p, err := PathTemplate(bad); err == nil {
			t.Errorf("%q is taken: %s", bad, p)
		}
	}
}

func FuzzPathTemplates(f *testing.F) {
	f.Add("/a/{x=b/*}/**")
	f.Fuzz(func(t *testing.T, template string) {
		if p, err := PathTemplate(template); err == nil {
			if _, err := regexp.Compile(p); err != nil {
				t.Errorf("%q became %q: %v", template, p, err)
			}
		}
	})
}
