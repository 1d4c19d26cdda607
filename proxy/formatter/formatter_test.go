package formatter

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

func ip(s string) network.Address { return network.IPAddress(netip.MustParseAddrPort(s)) }

// testContext is a GET that was answered 200 by the second upstream tried.
func testContext() *Context {
	req, resp, trailers := new(http.HeaderMap), new(http.HeaderMap), new(http.HeaderMap)
	req.Add(http.Method, "GET")
	req.Add(http.Path, "/new?a=1&b=x%20y&c")
	req.Add(http.Authority, "a.example:8080")
	req.Add(http.XEnvoyOriginalPath, "/old?z=1")
	req.AddName("x-quote", "say \"hi\"\t\xff\x01é")
	req.AddName("x-two", "first")
	req.AddName("x-two", "second")
	req.AddName("x-empty", "")
	resp.Add(http.Status, "200")
	resp.Add(http.XEnvoyUpstreamServiceTime, "5")
	trailers.AddName("x-t", "tr")
	return &Context{
		RequestHeaders: req, ResponseHeaders: resp, ResponseTrailers: trailers,
		Now: 2 * time.Second, Time: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC),
		LocalReplyBody: "no",
		Info: &streaminfo.Info{
			LogType: streaminfo.LogDownstreamEnd,
			Start:   time.Date(2026, 3, 5, 7, 8, 9, 123456789, time.UTC), Begin: time.Second,
			LastDownstreamRxByte: time.Second + 3*time.Millisecond, FirstUpstreamRxByte: time.Second + 10*time.Millisecond,
			LastDownstreamTxByte: time.Second + 14*time.Millisecond, End: time.Second + 15900*time.Microsecond,
			Protocol: "HTTP/1.1", ResponseCode: 200, ResponseCodeDetails: "via upstream", BytesSent: 42, AttemptCount: 2,
			Flags:   streaminfo.NoHealthyUpstream | streaminfo.UpstreamOverflow,
			Cluster: "c", ClusterStatName: "c-stat", RouteName: "rt", RequestID: "id-1",
			DownstreamRemote: ip("10.1.2.3:4567"), DownstreamLocal: ip("[2001:db8::1]:80"),
			UpstreamHost: ip("192.0.2.1:8080"), UpstreamHostname: "up.example:8080", UpstreamFailure: "TLS error: bad",
			Attempts:    []streaminfo.Attempt{{Host: ip("192.0.2.9:1"), ConnID: 7}, {Host: ip("192.0.2.9:1"), ConnID: 7}, {Host: ip("192.0.2.1:8080"), Hostname: "up.example:8080", ConnID: 8}},
			Metadata:    map[string]map[string]any{"ns": {"s": "foo", "n": 1.0, "b": true, "o": map[string]any{"k": "bar", "l": []any{1.5, nil}}}},
			FilterState: map[string]any{"fs": "val"},
		},
	}
}

func TestOperators(t *testing.T) {
	for _, tc := range []struct{ format, want string }{
		{"", ""},
		{"plain 100%%", "plain 100%"},
		{"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%", "GET /old?z=1 HTTP/1.1"},
		{"%REQ(x-none?:path):4% %REQ(x-two)% %REQ(host)% [%REQ(x-empty)%] %REQ(x-none)%", "/new first a.example:8080 [] -"},
		{"%REQ(:PATH):0%.", "."},
		{"%RESP(x-envoy-upstream-service-time)% %RESPONSE_HEADER(:status)% %TRAILER(x-t)% %RESPONSE_TRAILER(x-n)%", "5 200 tr -"},
		{"%PATH% %PATH(NQ)% %PATH(NQ:PATH)% %PATH(WQ:ORIG)% %PATH(WQ:PATH):3%", "/old?z=1 /old /new /old?z=1 /ne"},
		{"%QUERY_PARAM(a)% [%QUERY_PARAM(c)%] %QUERY_PARAM(d)% %QUERY_PARAMS(ORIG)%", "1 [] - a=1&b=x%20y&c"},
		{"%QUERY_PARAM(b)% %QUERY_PARAMS(DECODED)% %QUERY_PARAMS:3%", "x y a=1&b=x%20y&c a=1"},
		{"%START_TIME%", "2026-03-05T07:08:09.123Z"},
		{"%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%", "2026/03/05T07:08:09+0000 1772694489"},
		{"%START_TIME(%s.%3f)% %START_TIME(%f)% %START_TIME(%6f)%", "1772694489.123 123456789 123456"},
		{"%START_TIME(%E3S %E*S %Ez %e %j %a %A %b %B %y %I %p %u %w %U %W %V %G %D %F %T %R %C %Z)%",
			"09.123 09.123456789 +00:00  5 064 Thu Thursday Mar March 26 07 AM 4 4 09 09 10 2026 03/05/26 2026-03-05 07:08:09 07:08 20 UTC"},
		{"%EMIT_TIME%", "2026-11-24T09:00:00.000Z"},
		{"%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION% %REQUEST_TX_DURATION% %ROUNDTRIP_DURATION%", "15 3 10 4 - -"},
		{"%COMMON_DURATION(DS_RX_BEG:DS_TX_END)% %COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)% %COMMON_DURATION(US_CX_BEG:US_CX_END)%", "14 3000 -"},
		{"%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "200 via_upstream via upstream"},
		{"%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%", "UH,UO NoHealthyUpstream,UpstreamOverflow"},
		{"%BYTES_SENT% %BYTES_RECEIVED% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "42 0 2"},
		{"%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW% %ROUTE_NAME% %STREAM_ID%", "c-stat c rt id-1"},
		{"%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_HOST_NAME_WITHOUT_PORT% %UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_REMOTE_PORT%",
			"192.0.2.1:8080 up.example:8080 up.example - -"},
		{"%UPSTREAM_HOSTS_ATTEMPTED% %UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT% %UPSTREAM_HOST_NAMES_ATTEMPTED% %UPSTREAM_CONNECTION_IDS_ATTEMPTED%",
			"192.0.2.9:1,192.0.2.1:8080 192.0.2.9,192.0.2.1 192.0.2.9:1,up.example:8080 7,8"},
		{"%UPSTREAM_TRANSPORT_FAILURE_REASON% %CONNECTION_TERMINATION_DETAILS%", "TLS_error:_bad -"},
		{"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_REMOTE_PORT%", "10.1.2.3:4567 10.1.2.3 4567"},
		{"%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "[2001:db8::1]:80 2001:db8::1 -"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)% %DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(32)%", "10.1.0.0/16 2001:db8::/32"},
		{"%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_CERT_V_START% %DOWNSTREAM_PEER_SUBJECT%", "- - -"},
		{"%DYNAMIC_METADATA(ns:s)% %DYNAMIC_METADATA(ns:n)% %DYNAMIC_METADATA(ns:o)% %DYNAMIC_METADATA(ns:o:k):2% %DYNAMIC_METADATA(ns:x)% %METADATA(DYNAMIC:ns:b)%",
			`foo 1 {"k":"bar","l":[1.5,null]} ba - true`},
		{"%DYNAMIC_METADATA(ns:o):3% %DYNAMIC_METADATA(ns:b):2% %DYNAMIC_METADATA(ns:s):9%", `{"k tr foo`},
		{"%START_TIME(%q %v%)%", "%q %v%"},
		{"%UPSTREAM_DETECTED_CLOSE_TYPE% %DOWNSTREAM_DETECTED_CLOSE_TYPE% [%UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID%]", "Normal Normal []"},
		{"%FILTER_STATE(fs:PLAIN)% %FILTER_STATE(fs)% %FILTER_STATE(no)%", `val "val" -`},
		{"%REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(SNI_FIRST)% %LOCAL_REPLY_BODY% %ACCESS_LOG_TYPE%", "- a.example:8080 no DownstreamEnd"},
		{"%GRPC_STATUS% %GRPC_STATUS_NUMBER%", "- -"},
		{`%COALESCE({"operators":["TRACE_ID",{"command":"REQ","param":"x-two","max_length":3}]})%`, "fir"},
		{`%COALESCE({"operators":["TRACE_ID"]})%`, "-"},
		{"%ENVIRONMENT(WEIR_NO_SUCH_VARIABLE)%", "-"},
	} {
		t.Run(tc.format, func(t *testing.T) {
			f, err := Compile("f", tc.format)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Format(testContext()); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// The verdicts are those of Envoy 1.40's --mode validate.
func TestCompileErrors(t *testing.T) {
	for _, tc := range []struct{ format, want string }{
		{"a %NOPE%", "column 3: operator NOPE"},
		{"100%", "column 4"},
		{"%", "column 1"},
		{"a%REQ(x)", "column 2"},
		{"%REQ(x y)%", "not a header name"},
		{"%req(x)%", "column 1"},
		{"%REQ(a?b?c)%", "more than one alternative"},
		{"%REQ()%", "needs a parameter"},
		{"%REQ%", "needs a parameter"},
		{"%REQ(a):%", "column 1"},
		{"%PROTOCOL:3%", "takes no"},
		{"%START_TIME(%n)%", "newline"},
		{"%START_TIME(\n)%", "column 1"},
		{"%START_TIME(%Y):3%", "takes no length"},
		{"%GRPC_STATUS(x)%", "CAMEL_STRING"},
		{"%QUERY_PARAMS(x)%", "ORIG or DECODED"},
		{"%COMMON_DURATION(a)%", "start:end"},
		{"%COMMON_DURATION(DS_RX_BEG:DS_RX_END:x)%", "unit"},
		{"%FILTER_STATE(a:FOO)%", "PLAIN"},
		{"%FILTER_STATE%", "needs a parameter"},
		{"%METADATA(x)%", "kind of metadata"},
		{"%CLUSTER_METADATA(x):3%", "takes no length"},
		{"%COALESCE(x)%", "JSON"},
		{`%COALESCE({"operators":["NOPE"]})%`, "operators[0]: operator NOPE"},
		{"%LISTENER_METADATA(x)%", "no such operator"},
	} {
		_, err := Compile("field", tc.format)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "field: ") {
			t.Errorf("Compile(%q) = %v, want an error at field with %q", tc.format, err, tc.want)
		}
	}
	for _, format := range []string{"%PROTOCOL()%", "%START_TIME(%Y)b)%", "%REQ(a):0%", "%RESPONSE_CODE_DETAILS(z)%", "%%"} {
		if _, err := Compile("field", format); err != nil {
			t.Errorf("Compile(%q) = %v, but Envoy takes it", format, err)
		}
	}
}

func TestStatic(t *testing.T) {
	for format, want := range map[string]string{"": "", "abc": "abc", "1%%": "1%"} {
		f, err := Compile("", format)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := f.Static(); !ok || got != want {
			t.Errorf("Static() of %q = %q, %v", format, got, ok)
		}
	}
	f, _ := Compile("", "a%PROTOCOL%")
	if _, ok := f.Static(); ok {
		t.Error("a format with an operator is not static")
	}
}

func TestJSON(t *testing.T) {
	s, err := structpb.NewStruct(map[string]any{
		"b": "%RESPONSE_CODE%", "a": "%PROTOCOL%", "none": "%TRACE_ID%", "mixed": "%TRACE_ID%/%RESPONSE_CODE%",
		"quote": "%REQ(x-quote)%", "meta": "%DYNAMIC_METADATA(ns:o)%", "n": 1.0, "f": 2.5, "t": true, "nil": nil,
		"nested": map[string]any{"x": "%TRACE_ID%"}, "list": []any{"%BYTES_SENT%", "%TRACE_ID%", "lit"}, "flags": "%RESPONSE_FLAGS%",
		"empty": "", "long": "%REQ(:path):4%", "ml": "%DYNAMIC_METADATA(ns:o):2%", "utf": "<é",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		o    Options
		want string
	}{
		{"typed", Options{}, `{"a":"HTTP/1.1","b":200,"empty":"","f":2.5,"flags":"UH,UO","list":[42,null,"lit"],"long":"/new","meta":{"k":"bar","l":[1.5,null]},` +
			`"mixed":"-/200","ml":{"k":"bar","l":[1.5,null]},"n":1,"nested":{"x":null},"nil":null,"none":null,"quote":"say \"hi\"\t\u00ff\u0001\u00c3\u00a9","t":true,"utf":"<é"}` + "\n"},
		{"omit", Options{OmitEmptyValues: true}, `{"a":"HTTP/1.1","b":200,"empty":"","f":2.5,"flags":"UH,UO","list":[42,"lit"],"long":"/new","meta":{"k":"bar","l":[1.5,null]},` +
			`"mixed":"/200","ml":{"k":"bar","l":[1.5,null]},"n":1,"quote":"say \"hi\"\t\u00ff\u0001\u00c3\u00a9","t":true,"utf":"<é"}` + "\n"},
	} {
		f, err := CompileJSON("j", s, tc.o)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Format(testContext()); got != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, got, tc.want)
		}
	}
	bad, _ := structpb.NewStruct(map[string]any{"a": map[string]any{"b": []any{"%NO%"}}})
	if _, err := CompileJSON("j", bad, Options{}); err == nil || !strings.Contains(err.Error(), `j["a"]["b"][0]: column 1: operator NO`) {
		t.Errorf("the error of a nested format is %v", err)
	}
}

const defaultFormat = `[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ` +
	`%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ` +
	`"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"` + "\n"

func TestAppendDoesNotAllocate(t *testing.T) {
	text, err := Compile("", defaultFormat)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := structpb.NewStruct(map[string]any{"code": "%RESPONSE_CODE%", "path": "%REQ(:PATH)%", "q": "%REQ(x-quote)%", "t": "%START_TIME%", "u": "%UPSTREAM_HOST% x"})
	json, err := CompileJSON("", s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := testContext()
	buf := make([]byte, 0, 4096)
	for name, f := range map[string]*Formatter{"text": text, "JSON": json} {
		if n := testing.AllocsPerRun(100, func() { buf = f.Append(buf[:0], c) }); n != 0 {
			t.Errorf("%s: %v allocations a line", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	f, _ := Compile("", defaultFormat)
	c := testContext()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], c)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{defaultFormat, "%START_TIME(%E3S%3f)%", "%%%REQ(a?b):3%", `%COALESCE({"operators":["PROTOCOL"]}):2%`, "%PATH(NQ:ORIG)%"} {
		f.Add(s)
	}
	c := testContext()
	f.Fuzz(func(t *testing.T, s string) {
		if x, err := Compile("p", s); err == nil {
			x.Append(nil, c)
		}
	})
}
