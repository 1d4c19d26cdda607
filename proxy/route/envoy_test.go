package route

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// The expectations in this file are what Envoy 1.40 answered to the same
// configuration and request.

func parse(t testing.TB, text string) *routev3.RouteConfiguration {
	t.Helper()
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &routev3.RouteConfiguration{}
	if err := protojson.Unmarshal(js, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func options() Options {
	return Options{CompileFormat: func(s string) (ValueFormatter, error) { return formatter.CompileHeader("", s) }}
}

func compileText(t testing.TB, text string) *Config {
	t.Helper()
	c, err := Compile("route_config", parse(t, text), options())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// headers are those of a GET for host and path, then pairs of name and value.
func headers(host, path string, pairs ...string) *http.HeaderMap {
	h := get(host, path)
	h.Add(http.XForwardedProto, "http")
	h.Add(http.Scheme, "http")
	for i := 0; i < len(pairs); i += 2 {
		h.AddName(pairs[i], pairs[i+1])
	}
	return h
}

func lines(h *http.HeaderMap, skip ...string) string {
	var out []string
	for l := range h.All {
		if !slices.Contains(skip, l.Name) {
			out = append(out, l.Name+"="+l.Value)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestVirtualHosts(t *testing.T) {
	const hosts = `
ignore_port_in_host_matching: %t
virtual_hosts:
- {name: exact, domains: [www.example.com]}
- {name: suffix, domains: ["*.example.com"]}
- {name: longer-suffix, domains: ["*-x.example.com"]}
- {name: prefix, domains: ["www.*"]}
- {name: longer-prefix, domains: ["www.example.*"]}
- {name: six, domains: ["[::1]"]}
- {name: default, domains: ["*"]}
`
	c, portly := compileText(t, fmt.Sprintf(hosts, true)), compileText(t, fmt.Sprintf(hosts, false))
	for _, tc := range []struct{ host, ignoringPort, asIs string }{
		{"www.example.com", "exact", "exact"},
		{"WWW.Example.Com:80", "exact", "longer-prefix"},
		{"www.example.com:81", "exact", "longer-prefix"},
		{"www.example.com:", "exact", "longer-prefix"},
		{"www.example.com:x", "exact", "longer-prefix"},
		{"a-x.example.com", "longer-suffix", "longer-suffix"},
		{"-x.example.com", "suffix", "suffix"},
		{".example.com", "default", "default"},
		{"api.example.com:8080", "suffix", "default"},
		{"www.example.net", "longer-prefix", "longer-prefix"},
		{"www.foo", "prefix", "prefix"},
		{"www.", "default", "default"},
		{"[::1]:80", "six", "default"},
		{"[::1]", "six", "six"},
	} {
		if v := c.VirtualHost(get(tc.host, "/")); v.Name() != tc.ignoringPort {
			t.Errorf("%q ignoring ports: %s, want %s", tc.host, v.Name(), tc.ignoringPort)
		}
		if v := portly.VirtualHost(get(tc.host, "/")); v.Name() != tc.asIs {
			t.Errorf("%q: %s, want %s", tc.host, v.Name(), tc.asIs)
		}
	}
}

func TestNoVirtualHost(t *testing.T) {
	c := compileText(t, `{vhost_header: x-host, virtual_hosts: [{name: v, domains: [only.example], routes: [{match: {prefix: /}, non_forwarding_action: {}}]}]}`)
	if r := c.Route(headers("only.example", "/"), nil, 0); r != nil {
		t.Error("a route although the header that names the host is missing")
	}
	if r := c.Route(headers("other", "/", "x-host", "ONLY.example"), nil, 0); r == nil {
		t.Error("no route by vhost_header")
	}
}

func TestMatches(t *testing.T) {
	c := compileText(t, `
virtual_hosts:
- name: v
  domains: ["*"]
  routes:
  - {name: exact, match: {path: /exact}, non_forwarding_action: {}}
  - {name: regex, match: {safe_regex: {regex: "/re/[0-9]+"}}, non_forwarding_action: {}}
  - {name: separated, match: {path_separated_prefix: /sep}, non_forwarding_action: {}}
  - {name: never, match: {prefix: "/a?b"}, non_forwarding_action: {}}
  - {name: joined, match: {path: /j, headers: [{name: x-a, string_match: {exact: "1,2"}}]}, non_forwarding_action: {}}
  - {name: one-line, match: {path: /j, headers: [{name: x-a, string_match: {exact: "2"}}]}, non_forwarding_action: {}}
  - {name: no-line, match: {path: /i, headers: [{name: x-a, string_match: {exact: "2"}, invert_match: true}]}, non_forwarding_action: {}}
  - {name: inline, match: {path: /l, headers: [{name: x-forwarded-for, string_match: {exact: "1,2"}}]}, non_forwarding_action: {}}
  - {name: host, match: {path: /host, headers: [{name: Host, string_match: {exact: a.example}}]}, non_forwarding_action: {}}
  - {name: grpc, match: {path: /g, grpc: {}}, non_forwarding_action: {}}
  - {name: half, match: {path: /half, runtime_fraction: {default_value: {numerator: 50}, runtime_key: k}}, non_forwarding_action: {}}
  - {name: metadata, match: {path: /md, dynamic_metadata: [{filter: f, path: [{key: k}], value: {string_match: {exact: v}}}]}, non_forwarding_action: {}}
  - {name: state, match: {path: /fs, filter_state: [{key: s, string_match: {prefix: a}}]}, non_forwarding_action: {}}
  - {name: presented, match: {path: /tls, tls_context: {presented: true}}, non_forwarding_action: {}}
  - {name: plain, match: {path: /tls, tls_context: {presented: false}}, non_forwarding_action: {}}
  - {name: connect, match: {connect_matcher: {}}, non_forwarding_action: {}}
  - {name: rest, match: {prefix: "/"}, non_forwarding_action: {}}
`)
	info := &streaminfo.Info{FilterState: map[string]any{"s": "abc"}}
	info.SetMetadata("f", "k", "v")
	for _, tc := range []struct {
		path   string
		pairs  []string
		random uint64
		want   string
	}{
		{path: "/exact", want: "exact"},
		{path: "/exact?q=1", want: "exact"},
		{path: "/exact/", want: "rest"},
		{path: "/re/12", want: "regex"},
		{path: "/re/12x", want: "rest"},
		{path: "/re/7?x=/re/a", want: "regex"},
		{path: "/sep", want: "separated"},
		{path: "/sep/x", want: "separated"},
		{path: "/separate", want: "rest"},
		{path: "/a?b", want: "rest"},
		{path: "/j", pairs: []string{"x-a", "1", "x-a", "2"}, want: "one-line"},
		{path: "/j", pairs: []string{"x-a", "1,2"}, want: "joined"},
		{path: "/i", pairs: []string{"x-a", "1", "x-a", "2"}, want: "rest"},
		{path: "/i", pairs: []string{"x-a", "1"}, want: "no-line"},
		{path: "/i", want: "rest"},
		{path: "/l", pairs: []string{"x-forwarded-for", "1", "x-forwarded-for", "2"}, want: "inline"},
		{path: "/host", want: "host"},
		{path: "/g", pairs: []string{"content-type", "application/grpc+proto"}, want: "grpc"},
		{path: "/g", pairs: []string{"content-type", "application/grpc-web"}, want: "rest"},
		{path: "/half", random: 149, want: "half"},
		{path: "/half", random: 150, want: "rest"},
		{path: "/md", want: "metadata"},
		{path: "/fs", want: "state"},
		{path: "/tls", want: "plain"},
	} {
		r := c.Route(headers("a.example", tc.path, tc.pairs...), info, tc.random)
		if r == nil || r.RouteName() != tc.want {
			t.Errorf("%s %v: %v, want %s", tc.path, tc.pairs, r, tc.want)
		}
	}
	connect := &http.HeaderMap{}
	connect.Add(http.Method, "CONNECT")
	connect.Add(http.Authority, "a:443")
	if r := c.Route(connect, info, 0); r == nil || r.RouteName() != "connect" {
		t.Errorf("CONNECT: %v", r)
	}
}

func TestPathParameters(t *testing.T) {
	c := compileText(t, `
ignore_path_parameters_in_path_matching: true
virtual_hosts:
- {name: a, domains: ["*"], routes: [{match: {path: /a/b}, route: {cluster: u1, prefix_rewrite: /n}}, {match: {prefix: /c/}, route: {cluster: u1, prefix_rewrite: /n/}}]}
`)
	for path, want := range map[string]string{
		"/a;x=1/b;y": "/a;x=1/b;y",
		"/c;x=1/b;y": "/c;x=1/b;y",
		"/c/b;y?q;r": "/n/b;y?q;r",
	} {
		h := headers("a", path)
		r := c.Route(h, nil, 0)
		if r == nil {
			t.Errorf("%s: no route", path)
			continue
		}
		r.FinalizeRequestHeaders(h, &FormatContext{Info: &streaminfo.Info{}, RequestHeaders: h}, true)
		if got := h.Get(http.Path); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

func TestRedirects(t *testing.T) {
	c := compileText(t, `
virtual_hosts:
- {name: t, domains: ["tls.example", "tls.example:80"], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: u1}}]}
- {name: t2, domains: ["ext.example"], require_tls: EXTERNAL_ONLY, routes: [{match: {prefix: /}, direct_response: {status: 200}}]}
- name: a
  domains: ["*"]
  routes:
  - {match: {prefix: /https}, redirect: {https_redirect: true}}
  - {match: {prefix: /sch}, redirect: {scheme_redirect: ftp, response_code: SEE_OTHER}}
  - {match: {prefix: /http}, redirect: {scheme_redirect: http}}
  - {match: {prefix: /host}, redirect: {host_redirect: n.example, response_code: FOUND}}
  - {match: {prefix: /hp}, redirect: {host_redirect: "n.example:99"}}
  - {match: {prefix: /port}, redirect: {port_redirect: 77}}
  - {match: {prefix: /p80}, redirect: {port_redirect: 80}}
  - {match: {prefix: /path}, redirect: {path_redirect: "/new", response_code: PERMANENT_REDIRECT}}
  - {match: {prefix: /qpath}, redirect: {path_redirect: "/new?q=1"}}
  - {match: {prefix: /sqpath}, redirect: {path_redirect: "/new?q=1", strip_query: true}}
  - {match: {prefix: /spath}, redirect: {path_redirect: "/new", strip_query: true}}
  - {match: {prefix: /pre/}, redirect: {prefix_rewrite: "/X/", response_code: TEMPORARY_REDIRECT}}
  - {match: {prefix: /qpre/}, redirect: {prefix_rewrite: "/X?y=1/"}}
  - {match: {prefix: /spre/}, redirect: {prefix_rewrite: "/X/", strip_query: true}}
  - {match: {path_separated_prefix: /sep}, redirect: {prefix_rewrite: "/X"}}
  - {match: {path: /exactp}, redirect: {prefix_rewrite: "/X"}}
  - {match: {prefix: /re}, redirect: {regex_rewrite: {pattern: {regex: "e(.)"}, substitution: "E\\1-\\0"}}}
  - {match: {safe_regex: {regex: "/rx.*"}}, redirect: {prefix_rewrite: "/X"}}
  - {match: {prefix: /PC, case_sensitive: false}, redirect: {prefix_rewrite: "/X"}}
  - {match: {prefix: /strip}, redirect: {host_redirect: n.example, strip_query: true}}
  - {match: {prefix: /dr302}, direct_response: {status: 302}}
  - {match: {prefix: /dr201}, direct_response: {status: 201}}
  - {match: {prefix: /dr200}, direct_response: {status: 200, body: {inline_string: hello}}}
`)
	for _, tc := range []struct {
		host, path, want string
		code             int
	}{
		{"a.example", "/https?a", "https://a.example/https?a", 301},
		{"a.example:80", "/https?a", "https://a.example/https?a", 301},
		{"a.example:443", "/https?a", "https://a.example:443/https?a", 301},
		{"a.example:8080", "/https?a", "https://a.example:8080/https?a", 301},
		{"[::1]:80", "/https?a", "https://[::1]/https?a", 301},
		{"[::1]", "/https?a", "https://[::1]/https?a", 301},
		{"a.example:80", "/sch", "ftp://a.example/sch", 303},
		{"a.example:80", "/http", "http://a.example:80/http", 301},
		{"a.example:443", "/http", "http://a.example:443/http", 301},
		{"a.example:8080", "/host", "http://n.example/host", 302},
		{"a.example:80", "/hp", "http://n.example:99/hp", 301},
		{"a.example:80", "/port", "http://a.example:77/port", 301},
		{"a.example", "/port", "http://a.example:77/port", 301},
		{"a.example", "/p80", "http://a.example:80/p80", 301},
		{"a.example", "/path?a", "http://a.example/new?a", 308},
		{"a.example", "/qpath?a", "http://a.example/new?q=1", 301},
		{"a.example", "/sqpath?a", "http://a.example/new?q=1", 301},
		{"a.example", "/spath?a", "http://a.example/new", 301},
		{"a.example", "/pre/1?a", "http://a.example/X/1?a", 307},
		{"a.example", "/qpre/1?a", "http://a.example/X?y=1/1?a", 301},
		{"a.example", "/spre/1?a", "http://a.example/X/1", 301},
		{"a.example", "/sep/1?a", "http://a.example/X/1?a", 301},
		{"a.example", "/sep?a", "http://a.example/X?a", 301},
		{"a.example", "/exactp?a", "http://a.example/X?a", 301},
		{"a.example", "/rebec?bef", "http://a.example/rEb-ebEc-ec?bef", 301},
		{"a.example", "/rxabc?a", "http://a.example/X?a", 301},
		{"a.example", "/pcabc?a", "http://a.example/Xabc?a", 301},
		{"a.example", "/strip?a=b", "http://n.example/strip", 301},
		{"a.example", "/dr302?a=b", "http://a.example/dr302?a=b", 302},
		{"a.example", "/dr201?a=b", "http://a.example/dr201?a=b", 201},
		{"a.example", "/dr200?a=b", "", 200},
		{"tls.example", "/x?y", "https://tls.example/x?y", 301},
		{"tls.example:80", "/x?y", "https://tls.example:80/x?y", 301},
		{"ext.example", "/x?y", "https://ext.example/x?y", 301},
	} {
		h := headers(tc.host, tc.path)
		r := c.Route(h, nil, 0)
		if r == nil {
			t.Errorf("%s%s: no route", tc.host, tc.path)
			continue
		}
		var code int
		if d := r.Redirect(); d != nil {
			code = d.Code
		} else if d := r.DirectResponse(); d != nil {
			code = d.Status
		}
		if got := r.Location(h, &FormatContext{Info: &streaminfo.Info{}, RequestHeaders: h}); got != tc.want || code != tc.code {
			t.Errorf("%s%s: %d %q, want %d %q", tc.host, tc.path, code, got, tc.code, tc.want)
		}
	}
	h := headers("ext.example", "/", "x-envoy-internal", "true")
	if r := c.Route(h, nil, 0); r.DirectResponse() == nil {
		t.Error("an internal request is redirected although only external ones need TLS")
	}
}

func TestFinalizeRequestHeaders(t *testing.T) {
	const table = `
most_specific_header_mutations_wins: %t
request_headers_to_add: [{header: {key: x-o, value: "rc"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}, {header: {key: x-l, value: "rc"}}]
virtual_hosts:
- name: a
  domains: ["*"]
  request_headers_to_add: [{header: {key: x-o, value: "vh"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}, {header: {key: x-l, value: "vh"}}]
  routes:
  - {match: {prefix: /w}, route: {weighted_clusters: {clusters: [{name: u1, weight: 1, host_rewrite_literal: w.example, request_headers_to_add: [{header: {key: x-o, value: "wc"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}, {header: {key: x-l, value: "wc"}}]}]}}, request_headers_to_add: [{header: {key: x-o, value: "r"}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}, {header: {key: x-l, value: "r"}}]}
  - {match: {prefix: /xfh}, route: {cluster: u1, host_rewrite_literal: n.example, append_x_forwarded_host: true}}
  - {match: {prefix: /same}, route: {cluster: u1, host_rewrite_literal: a.example, append_x_forwarded_host: true}}
  - {match: {prefix: /by}, route: {cluster: u1, host_rewrite_header: x-to}}
  - {match: {prefix: /hpr}, route: {cluster: u1, prefix_rewrite: /zz, host_rewrite_path_regex: {pattern: {regex: "^/hpr/(.+)$"}, substitution: "\\1.example"}}}
  - {match: {path_separated_prefix: /sep}, route: {cluster: u1, prefix_rewrite: /}}
  - {match: {prefix: /Case, case_sensitive: false}, route: {cluster: u1, prefix_rewrite: /low}}
  - {match: {path: /exact}, route: {cluster: u1, prefix_rewrite: /low}}
  - {match: {safe_regex: {regex: /rx.*}}, route: {cluster: u1, prefix_rewrite: /low}}
  - {match: {prefix: /rr}, route: {cluster: u1, regex_rewrite: {pattern: {regex: "r(x*)"}, substitution: "<\\1>"}}}
  - match: {prefix: /hdrs}
    route: {cluster: u1}
    request_headers_to_remove: [x-c]
    request_headers_to_add:
    - {header: {key: x-a, value: "%%REQ(x-a)%%-%%REQ(x-c)%%"}}
    - {header: {key: x-c, value: "new"}}
    - {header: {key: x-e, value: "%%REQ(none)%%"}}
    - {header: {key: x-k, value: "%%REQ(none)%%"}, keep_empty_value: true}
    - {header: {key: x-p, value: "100%%%%"}}
    - {header: {key: x-m, value: "a%%REQ(none)%%b"}}
    - {header: {key: x-a, value: "o"}, append_action: OVERWRITE_IF_EXISTS}
    - {header: {key: x-z, value: "o"}, append_action: OVERWRITE_IF_EXISTS}
    - {header: {key: x-aa, value: "1"}, append_action: ADD_IF_ABSENT}
    - {header: {key: x-aa, value: "2"}, append_action: ADD_IF_ABSENT}
  - match: {prefix: /inline}
    route: {cluster: u1}
    request_headers_to_add: [{header: {key: accept, value: b}}, {header: {key: cookie, value: b}}, {header: {key: te, value: b}}]
`
	const rc = " x-l=rc x-l=vh x-o=rc"
	c, specific := compileText(t, fmt.Sprintf(table, false)), compileText(t, fmt.Sprintf(table, true))
	for _, tc := range []struct {
		path  string
		pairs []string
		want  string
	}{
		{"/w", nil, ":authority=w.example :path=/w x-l=r x-l=rc x-l=vh x-l=wc x-o=rc"},
		{"/xfh", nil, ":authority=n.example :path=/xfh x-envoy-original-host=a.example x-forwarded-host=a.example" + rc},
		{"/xfh", []string{"x-forwarded-host", "b.example"}, ":authority=n.example :path=/xfh x-envoy-original-host=a.example x-forwarded-host=b.example,a.example" + rc},
		{"/xfh", []string{"x-forwarded-host", "b.example, a.example"}, ":authority=n.example :path=/xfh x-envoy-original-host=a.example x-forwarded-host=b.example, a.example,a.example" + rc},
		{"/xfh", []string{"x-forwarded-host", "b.example,a.example"}, ":authority=n.example :path=/xfh x-envoy-original-host=a.example x-forwarded-host=b.example,a.example" + rc},
		{"/same", nil, ":authority=a.example :path=/same x-envoy-original-host=a.example x-forwarded-host=a.example" + rc},
		{"/by", []string{"x-to", "chosen.example"}, ":authority=chosen.example :path=/by x-envoy-original-host=a.example x-l=rc x-l=vh x-o=rc x-to=chosen.example"},
		{"/by", nil, ":authority=a.example :path=/by" + rc},
		{"/hpr/foo?x", nil, ":authority=foo.example :path=/zz/foo?x x-envoy-original-host=a.example x-envoy-original-path=/hpr/foo?x" + rc},
		{"/sep/x", nil, ":authority=a.example :path=//x x-envoy-original-path=/sep/x" + rc},
		{"/sep?x", nil, ":authority=a.example :path=/?x x-envoy-original-path=/sep?x" + rc},
		{"/cASE/x", nil, ":authority=a.example :path=/low/x x-envoy-original-path=/cASE/x" + rc},
		{"/exact?x", nil, ":authority=a.example :path=/low?x x-envoy-original-path=/exact?x" + rc},
		{"/rxy?x", nil, ":authority=a.example :path=/low?x x-envoy-original-path=/rxy?x" + rc},
		{"/rrxrxx?rr", nil, ":authority=a.example :path=/<><x><xx>?rr x-envoy-original-path=/rrxrxx?rr" + rc},
		{"/hdrs", []string{"x-a", "1", "x-c", "2"}, ":authority=a.example :path=/hdrs x-a=1- x-a=o x-aa=1 x-aa=2 x-c=new x-k= x-l=rc x-l=vh x-m=ab x-o=rc x-p=100%"},
		{"/inline", []string{"accept", "a", "cookie", "a", "te", "trailers"}, ":authority=a.example :path=/inline accept=a,b cookie=a cookie=b te=trailers,b" + rc},
	} {
		if got := finalized(t, c, tc.path, tc.pairs); got != tc.want {
			t.Errorf("%s %v:\n got %s\nwant %s", tc.path, tc.pairs, got, tc.want)
		}
	}
	if got, want := finalized(t, specific, "/w", nil), ":authority=w.example :path=/w x-l=r x-l=rc x-l=vh x-l=wc x-o=r"; got != want {
		t.Errorf("most specific wins:\n got %s\nwant %s", got, want)
	}
}

func finalized(t *testing.T, c *Config, path string, pairs []string) string {
	t.Helper()
	h := headers("a.example", path, pairs...)
	info := &streaminfo.Info{}
	r := c.Route(h, info, 0)
	if r == nil {
		t.Fatalf("%s: no route", path)
	}
	r.FinalizeRequestHeaders(h, &FormatContext{Info: info, RequestHeaders: h}, true)
	return lines(h, ":method", "x-forwarded-proto", ":scheme")
}

func TestFinalizeResponseHeaders(t *testing.T) {
	c := compileText(t, `
response_headers_to_remove: [content-type]
virtual_hosts:
- name: a
  domains: ["*"]
  response_headers_to_add: [{header: {key: x-resp, value: "vh"}}]
  routes:
  - {match: {prefix: /}, direct_response: {status: 200}, response_headers_to_add: [{header: {key: x-resp, value: "route"}}, {header: {key: vary, value: b}}]}
`)
	h := headers("a.example", "/")
	var resp http.HeaderMap
	resp.Add(http.ContentType, "text/plain")
	resp.Add(http.Vary, "a")
	info := &streaminfo.Info{}
	c.Route(h, info, 0).FinalizeResponseHeaders(&resp, &FormatContext{Info: info, RequestHeaders: h, ResponseHeaders: &resp})
	if got, want := lines(&resp), "vary=a,b x-resp=route x-resp=vh"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFinalizeAllocatesNothing(t *testing.T) {
	c := compileText(t, `
virtual_hosts:
- name: a
  domains: ["*"]
  routes:
  - match: {prefix: /a/}
    route: {cluster: u1, prefix_rewrite: /b/, host_rewrite_literal: n.example, append_x_forwarded_host: true}
    request_headers_to_add: [{header: {key: x-a, value: "%REQ(:path)% of %PROTOCOL%"}}, {header: {key: x-b, value: "b"}}]
`)
	var h http.HeaderMap
	info := &streaminfo.Info{Protocol: "HTTP/1.1"}
	ctx := &FormatContext{Info: info, RequestHeaders: &h}
	n := testing.AllocsPerRun(100, func() {
		h.Reset()
		h.Add(http.Method, "GET")
		h.Add(http.Authority, "a.example")
		h.Add(http.Path, "/a/b?c")
		c.Route(&h, info, 1).FinalizeRequestHeaders(&h, ctx, true)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got, _ := h.GetName("x-a"); got != "/a/b?c of HTTP/1.1" {
		t.Errorf("x-a: %q", got)
	}
}
