package matcher

import (
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/proxy/http"
)

func parse(t testing.TB, text string, m proto.Message) {
	t.Helper()
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(js, m); err != nil {
		t.Fatal(err)
	}
}

func TestString(t *testing.T) {
	for _, tc := range []struct {
		config, yes, no string
	}{
		{`{exact: aB}`, "aB", "ab"},
		{`{exact: aB, ignore_case: true}`, "Ab", "abc"},
		{`{exact: ""}`, "", "a"},
		{`{prefix: aB}`, "aBc", "abc"},
		{`{prefix: aB, ignore_case: true}`, "ABC", "a"},
		{`{suffix: aB}`, "caB", "cab"},
		{`{suffix: aB, ignore_case: true}`, "cAb", "b"},
		{`{contains: aB}`, "xaBx", "xabx"},
		{`{contains: aB, ignore_case: true}`, "xAbx", "xax"},
		{`{safe_regex: {regex: "a|ab"}}`, "ab", "abc"}, // the whole value, whichever branch
		{`{safe_regex: {regex: "(?i)ab."}}`, "ABc", "ab"},
	} {
		var c matcherv3.StringMatcher
		parse(t, tc.config, &c)
		m, err := NewString("m", &c, NewRegexes())
		if err != nil {
			t.Errorf("%s: %v", tc.config, err)
			continue
		}
		if !m.Match(tc.yes) || m.Match(tc.no) {
			t.Errorf("%s: %q %v, %q %v", tc.config, tc.yes, m.Match(tc.yes), tc.no, m.Match(tc.no))
		}
	}
}

// TestHeader holds what Envoy 1.40 answered.
func TestHeader(t *testing.T) {
	const missing = "\x00"
	for _, tc := range []struct {
		config, value string
		want          bool
	}{
		{`{name: X-A, string_match: {exact: one}, invert_match: true}`, missing, false},
		{`{name: X-A, string_match: {exact: one}, invert_match: true}`, "two", true},
		{`{name: X-A, string_match: {exact: one}, invert_match: true, treat_missing_header_as_empty: true}`, missing, true},
		{`{name: X-A, present_match: true, invert_match: true}`, missing, true},
		{`{name: X-A, present_match: true, invert_match: true}`, "two", false},
		{`{name: X-A, present_match: false, invert_match: true}`, missing, false},
		{`{name: X-A, present_match: false, invert_match: true}`, "two", true},
		{`{name: X-A, present_match: true, treat_missing_header_as_empty: true}`, missing, true},
		{`{name: X-A, present_match: false, treat_missing_header_as_empty: true}`, missing, false},
		{`{name: X-A, present_match: false, treat_missing_header_as_empty: true}`, "two", false},
		{`{name: X-A, present_match: true, invert_match: true, treat_missing_header_as_empty: true}`, missing, false},
		{`{name: X-A, range_match: {start: 1, end: 5}, invert_match: true}`, missing, false},
		{`{name: X-A, range_match: {start: 1, end: 5}, invert_match: true}`, "x", true},
		{`{name: X-A, range_match: {start: 1, end: 5}}`, "1", true},
		{`{name: X-A, range_match: {start: 1, end: 5}}`, "5", false},
		{`{name: X-A}`, "", true},
		{`{name: X-A}`, missing, false},
		{`{name: X-A, exact_match: a}`, "a", true},
		{`{name: X-A, prefix_match: a}`, "ab", true},
		{`{name: X-A, suffix_match: a}`, "ba", true},
		{`{name: X-A, contains_match: a}`, "bab", true},
		{`{name: X-A, safe_regex_match: {regex: "a+"}}`, "aab", false},
	} {
		var c routev3.HeaderMatcher
		parse(t, tc.config, &c)
		m, err := NewHeader("m", &c, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.config, err)
			continue
		}
		var h http.HeaderMap
		if tc.value != missing {
			h.AddName("x-a", tc.value)
		}
		if got := m.Match(&h); got != tc.want {
			t.Errorf("%s, %q: %v", tc.config, tc.value, got)
		}
	}
}

// TestQueryAndCookies holds what Envoy 1.40 answered.
func TestQueryAndCookies(t *testing.T) {
	for _, tc := range []struct {
		config, path string
		want         bool
	}{
		{`{name: k, present_match: false}`, "/", true},
		{`{name: k, present_match: false}`, "/?k=1", false},
		{`{name: k}`, "/?a&k", true},
		{`{name: k, string_match: {exact: ""}}`, "/?k", true},
		{`{name: k, string_match: {exact: ""}}`, "/?k=", true},
		{`{name: k, string_match: {exact: ""}}`, "/", false},
		{`{name: k, string_match: {exact: "a b"}}`, "/?k=a%20b", false},
		{`{name: k, string_match: {exact: "2"}}`, "/?k=1&k=2", false},
	} {
		var c routev3.QueryParameterMatcher
		parse(t, tc.config, &c)
		ms, err := NewQueryParameters("m", []*routev3.QueryParameterMatcher{&c}, nil)
		if err != nil || ms[0].Match(tc.path) != tc.want {
			t.Errorf("%s, %s: %v, %v", tc.config, tc.path, !tc.want, err)
		}
	}
	for _, tc := range []struct {
		config, cookie string
		want           bool
	}{
		{`{name: k, string_match: {exact: v}}`, "k=v", true},
		{`{name: k, string_match: {exact: v}}`, "a=b; k=v", true},
		{`{name: k, string_match: {exact: v}}`, `a=b; k="v"`, true},
		{`{name: k, string_match: {exact: v}}`, "a=b;k=v ;c=d", false},
		{`{name: k, string_match: {exact: v}}`, "k =v", false},
		{`{name: k, string_match: {exact: v}}`, "k=x; k=v", false},
		{`{name: k, string_match: {exact: v}, invert_match: true}`, "", true},
		{`{name: k, string_match: {exact: v}, invert_match: true}`, "k=x", true},
		{`{name: k, string_match: {exact: v}, invert_match: true}`, "k=v", false},
	} {
		var c routev3.CookieMatcher
		parse(t, tc.config, &c)
		ms, err := NewCookies("m", []*routev3.CookieMatcher{&c}, nil)
		var h http.HeaderMap
		if tc.cookie != "" {
			h.Add(http.Cookie, tc.cookie)
		}
		if err != nil || ms[0].Match(&h) != tc.want {
			t.Errorf("%s, %s: %v, %v", tc.config, tc.cookie, !tc.want, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	metadata := map[string]map[string]any{"ns": {
		"s": "text", "num": 3.0, "b": true, "null": nil, "list": []any{"a", 1.0}, "deep": map[string]any{"er": "x"},
	}}
	for _, tc := range []struct {
		config string
		want   bool
	}{
		{`{filter: ns, path: [{key: s}], value: {string_match: {prefix: te}}}`, true},
		{`{filter: ns, path: [{key: s}], value: {string_match: {prefix: te}}, invert: true}`, false},
		{`{filter: ns, path: [{key: num}], value: {double_match: {exact: 3}}}`, true},
		{`{filter: ns, path: [{key: num}], value: {double_match: {range: {start: 3, end: 4}}}}`, true},
		{`{filter: ns, path: [{key: num}], value: {double_match: {range: {start: 2, end: 3}}}}`, false},
		{`{filter: ns, path: [{key: b}], value: {bool_match: true}}`, true},
		{`{filter: ns, path: [{key: "null"}], value: {null_match: {}}}`, true},
		{`{filter: ns, path: [{key: gone}], value: {null_match: {}}}`, false},
		{`{filter: ns, path: [{key: gone}], value: {present_match: false}}`, true},
		{`{filter: ns, path: [{key: s}], value: {present_match: true}}`, true},
		{`{filter: ns, path: [{key: list}], value: {list_match: {one_of: {double_match: {exact: 1}}}}}`, true},
		{`{filter: ns, path: [{key: list}], value: {list_match: {one_of: {string_match: {exact: b}}}}}`, false},
		{`{filter: ns, path: [{key: deep}, {key: er}], value: {string_match: {exact: x}}}`, true},
		{`{filter: ns, path: [{key: s}, {key: er}], value: {string_match: {exact: x}}}`, false},
		{`{filter: ns, path: [{key: s}], value: {or_match: {value_matchers: [{bool_match: true}, {string_match: {exact: text}}]}}}`, true},
		{`{filter: other, path: [{key: s}], value: {string_match: {exact: text}}}`, false},
	} {
		var c matcherv3.MetadataMatcher
		parse(t, tc.config, &c)
		m, err := NewMetadata("m", &c, nil)
		if err != nil || m.Match(metadata) != tc.want {
			t.Errorf("%s: %v, %v", tc.config, !tc.want, err)
		}
	}
}

func TestSubstitution(t *testing.T) {
	for _, tc := range []struct{ regex, substitution, in, want string }{
		{"(a+)(b?)", `\2-\1-\0`, "xaab", "xb-aa-aab"},
		{"a", `$1\\`, "a", `$1\`},
		{"a", `\1`, "aba", "aba"}, // no such group
		{"x*", "-", "abc", "-a-b-c-"},
	} {
		m, err := NewSubstitution("m", &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: tc.regex}, Substitution: tc.substitution}, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.regex, err)
			continue
		}
		if got := m.Replace(tc.in); got != tc.want {
			t.Errorf("%s, %s: %q, want %q", tc.regex, tc.substitution, got, tc.want)
		}
	}
	for _, bad := range []string{`\`, `\x`} {
		if _, err := NewSubstitution("m", &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: "a"}, Substitution: bad}, nil); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
