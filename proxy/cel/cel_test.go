package cel

import (
	"strings"
	"testing"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

func input() Input {
	rq, rs := &http.HeaderMap{}, &http.HeaderMap{}
	for _, h := range [][2]string{{":method", "GET"}, {":path", "/x?y=1"}, {":authority", "a.example"}, {"x-h", "1"}, {"x-h", "2"}} {
		rq.AddName(h[0], h[1])
	}
	rs.AddName("x-up", "u")
	return Input{
		Info: &streaminfo.Info{
			ResponseCode: 404, RouteName: "r", Protocol: "HTTP/1.1", Start: time.Unix(100, 0),
			RouteMetadata: map[string]map[string]any{"ns": {"a": "b", "n": 2.0}},
			FilterState:   map[string]any{"k": "v"},
		},
		RequestHeaders: rq, ResponseHeaders: rs,
	}
}

func TestMatch(t *testing.T) {
	for expr, want := range map[string]bool{
		`response.code >= 400`:                                         true,
		`request.method == "GET" && request.url_path == "/x"`:          true,
		`request.query == "y=1"`:                                       true,
		`request.headers["x-h"] == "1,2"`:                              true,
		`"nope" in request.headers`:                                    false,
		`request.headers["nope"] == ""`:                                false, // no such key: no value
		`has(request.headers.nope) || response.headers["x-up"] == "u"`: true,
		`xds.route_metadata.filter_metadata["ns"]["a"] == "b"`:         true,
		`xds.route_metadata.filter_metadata["ns"]["n"] == 2.0`:         true,
		`xds.route_metadata.filter_metadata["no"]["a"] == "b"`:         false,
		`filter_state["k"] == "v"`:                                     true,
		`connection.mtls`:                                              false,
		`connection.uri_san_peer_certificate.startsWith("spiffe://")`:  false,
		`request.time < timestamp("2000-01-01T00:00:00Z")`:             true,
		`request.path.matches("^/[a-z]")`:                              true,
		`nope.at.all == 1`:                                             false,
		`1`:                                                            false, // not a truth value
		`response.grpc_status == 12`:                                   true,
	} {
		p, err := Compile(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := p.Match(input()); got != want {
			t.Errorf("%s: %v", expr, got)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`request.`:                           "not able to parse expression",
		``:                                   "not able to parse expression",
		`request.headers.exists(h, h == "")`: `there is no function "exists"`,
		`nope(1)`:                            `there is no function "nope"`,
	} {
		if _, err := Compile(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expr, err, want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`request.headers["a"] == "b" && response.code in [200, 404]`)
	f.Fuzz(func(t *testing.T, expr string) {
		if p, err := Compile(expr); err == nil {
			p.Eval(input())
		}
	})
}

func TestFunctions(t *testing.T) {
	for expression, want := range map[string]string{
		`re.extract("xabc", "a(.)c", r"<\1\\>")`:                  `<b\>`,
		`"abc".matches("b") ? "y" : "n"`:                          "y",
		`"abc".matches("^b") ? "y" : "n"`:                         "n",
		`"abc".matches("(") ? "y" : "n"`:                          "",
		`"abc".matches("b" + "c") ? "y" : "n"`:                    "y",
		`re.extract("abc", "z", "x")`:                             "",
		`re.extract("abc", "(a)", r"\3")`:                         "",
		`re.capture("abc", "a(.)c")`:                              "b",
		`re.capture("xabc", "a(.)c")`:                             "",
		`re.capture("abc", "(")`:                                  "",
		`re.captureN("abc", "(a)(?P<x>.)(c)").x`:                  "b",
		`re.captureN("abc", "(a)(?P<x>.)(c)")["3"]`:               "c",
		`duration("1500ms").getMilliseconds() == 500 ? "y" : "n"`: "y",
	} {
		p, err := Compile(expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		got := ""
		if v, ok := p.Eval(Input{}); ok {
			got, _ = v.Value().(string)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
	}
	if _, err := Compile("string(1)"); err == nil {
		t.Error("Envoy has no string()")
	}
}

func BenchmarkMatches(b *testing.B) {
	p, err := Compile(`request.path.matches("^/(a|b)/[0-9]+$")`)
	if err != nil {
		b.Fatal(err)
	}
	in := input()
	b.ReportAllocs()
	for b.Loop() {
		p.Match(in)
	}
}
