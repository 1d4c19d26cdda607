package tracing

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

func headers(pairs ...string) *http.HeaderMap {
	h := &http.HeaderMap{}
	for i := 0; i < len(pairs); i += 2 {
		h.AddName(pairs[i], pairs[i+1])
	}
	return h
}

func TestFormats(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for _, c := range []struct {
		name  string
		f     format
		h     *http.HeaderMap
		found bool
		ok    bool
		id    string // of the trace
	}{
		{"W3C", w3c{}, headers("traceparent", parent), true, true, "0af7651916cd43dd8448eb211c80319c"},
		{"W3C none", w3c{}, headers(), false, true, ""},
		{"W3C short", w3c{}, headers("traceparent", parent[:54]), true, false, ""},
		{"W3C zeros", w3c{}, headers("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01"), true, false, ""},
		{"W3C not hex", w3c{}, headers("traceparent", strings.Replace(parent, "af", "zz", 1)), true, false, ""},
		{"B3", b3{}, headers("x-b3-traceid", "463ac35c9f6413ad", "x-b3-spanid", "a2fb4a1d1a96d312"), true, true, "463ac35c9f6413ad"},
		{"B3 long", b3{}, headers("x-b3-traceid", "0af7651916cd43dd463ac35c9f6413ad", "x-b3-spanid", "a2fb4a1d1a96d312"), true, true, "0af7651916cd43dd463ac35c9f6413ad"},
		{"B3 of few digits", b3{}, headers("x-b3-traceid", "4", "x-b3-spanid", "a"), true, true, "0000000000000004"},
		{"B3 bad", b3{}, headers("x-b3-traceid", "4z", "x-b3-spanid", "a2fb4a1d1a96d312"), true, false, ""},
		{"B3 in one", b3{}, headers("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90"), true, true, "80f198ee56343ba864fe8b2a57d3eff7"},
		{"B3 in one, too much", b3{}, headers("b3", "463ac35c9f6413ad-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-x"), true, false, ""},
		{"B3 that falls back", b3{w3c: true}, headers("traceparent", parent), true, true, "0af7651916cd43dd8448eb211c80319c"},
		{"Datadog", datadog{}, headers("x-datadog-trace-id", "255", "x-datadog-parent-id", "1", "x-datadog-tags", "_dd.p.tid=640cfd8d00000000"), true, true, "640cfd8d0000000000000000000000ff"},
	} {
		ctx, found, ok := c.f.extract(c.h)
		if found != c.found || ok != c.ok {
			t.Errorf("%s: found %v, ok %v", c.name, found, ok)
			continue
		}
		if !ok || !found {
			continue
		}
		s := &Span{Context: ctx, tracer: &Tracer{format: c.f}}
		if got := string(s.AppendTraceID(nil)); got != c.id {
			t.Errorf("%s: trace %s, want %s", c.name, got, c.id)
		}
		// What is injected is what was extracted.
		h := headers()
		if s.single {
			h.AddName("b3", "")
		}
		s.Inject(h)
		again, found, ok := c.f.extract(h)
		if !found || !ok || again.TraceLow != ctx.TraceLow || again.TraceHigh != ctx.TraceHigh || again.ID != ctx.ID {
			t.Errorf("%s: %+v became %+v (%v, %v)", c.name, ctx, again, found, ok)
		}
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90")
	f.Fuzz(func(t *testing.T, w, b string) {
		h := headers("traceparent", w, "b3", b, "x-datadog-trace-id", w, "x-datadog-tags", b)
		for _, f := range []format{w3c{}, b3{w3c: true}, datadog{}} {
			if c, found, ok := f.extract(h); found && ok {
				(&Span{Context: c, tracer: &Tracer{format: f}}).Inject(headers())
			}
		}
	})
}

func TestSamplers(t *testing.T) {
	tracer := func(s sampler) *Tracer { return &Tracer{sampler: s} }
	sampled, not := &Context{TraceLow: 1, ID: 1, Sampled: true}, &Context{TraceLow: 1, ID: 1}
	for _, c := range []struct {
		name   string
		t      *Tracer
		parent *Context
		traced bool
		want   bool
	}{
		{"root", tracer(nil), nil, true, true},
		{"root, not traced", tracer(nil), nil, false, false},
		{"as the parent", tracer(nil), not, true, false},
		{"on", tracer(alwaysOn{}), not, true, true},
		{"parent based", tracer(parentBased{alwaysOn{}}), not, true, false},
		{"parent based root", tracer(parentBased{alwaysOn{}}), nil, true, true},
		{"none", tracer(ratio{0, 100}), sampled, true, false},
	} {
		if got := beginOTel(c.t, c.parent, c.traced); got.Sampled != c.want {
			t.Errorf("%s: %v", c.name, got.Sampled)
		}
	}
}

func config(t *testing.T, text string, values map[string]string) *Config {
	t.Helper()
	m := &hcmv3.HttpConnectionManager_Tracing{}
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	c, err := Compile("tracing", m, nil, Options{Providers: &Providers{}, Runtime: runtime.Of(values), Stats: stats.NewStore(), StatPrefix: "in"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecide(t *testing.T) {
	const id = "6b1f6f1a-0000-4b1e-8b1e-6b1f6f1a0000"
	for _, c := range []struct {
		name, config string
		values       map[string]string
		h            *http.HeaderMap
		route        *RouteSampling
		want         Reason
		digit        byte
	}{
		{"sampled", `{}`, nil, headers("x-request-id", id), nil, Sampling, '9'},
		{"not sampled", `{"random_sampling": {"value": 0}}`, nil, headers("x-request-id", id), nil, NotTraceable, '4'},
		{"forced", `{"random_sampling": {"value": 0}}`, nil, headers("x-request-id", id, "x-envoy-force-trace", "1"), nil, ServiceForced, 'a'},
		{"by the client", `{}`, nil, headers("x-request-id", id, "x-client-trace-id", "1"), nil, ClientForced, 'b'},
		{"clients don't count", `{"client_sampling": {}, "random_sampling": {}}`, nil, headers("x-request-id", id, "x-client-trace-id", "1"), nil, NotTraceable, '4'},
		{"decided before", `{"random_sampling": {}}`, nil, headers("x-request-id", strings.Replace(id, "-4b", "-9b", 1)), nil, Sampling, '9'},
		{"off overall", `{"overall_sampling": {}}`, nil, headers("x-request-id", id), nil, NotTraceable, '4'},
		{"off by the runtime", `{}`, map[string]string{"tracing.global_enabled": "0"}, headers("x-request-id", id), nil, NotTraceable, '4'},
		{"the route's own", `{}`, nil, headers("x-request-id", id), &RouteSampling{Random: runtime.Percent{Denominator: 100}}, NotTraceable, '4'},
		{"no request id", `{}`, nil, headers(), nil, NotTraceable, 0},
	} {
		got := config(t, c.config, c.values).Decide(c.h, c.route)
		if got != c.want {
			t.Errorf("%s: reason %d, want %d", c.name, got, c.want)
		}
		if c.digit != 0 && c.h.Get(http.XRequestID)[reasonDigit] != c.digit {
			t.Errorf("%s: %s", c.name, c.h.Get(http.XRequestID))
		}
	}
}

func TestZipkinSpan(t *testing.T) {
	c := config(t, `{"max_path_tag_length": 3, "custom_tags": [{"tag": "h", "request_header": {"name": "x-h"}}, {"tag": "d", "request_header": {"name": "x-none", "default_value": "dd"}},
		{"tag": "l", "literal": {"value": "v"}}, {"tag": "m", "metadata": {"kind": {"route": {}}, "metadata_key": {"key": "ns", "path": [{"key": "o"}]}}}]}`, nil)
	x := &capture{}
	begin := zipkinOptions{shared: true}
	tracer := &Tracer{format: b3{}, exporter: x, begin: begin.begin}
	h := headers(":method", "GET", ":path", "/abcdef", ":authority", "a", "x-forwarded-proto", "http", "x-h", "hv",
		"x-b3-traceid", "463ac35c9f6413ad", "x-b3-spanid", "a2fb4a1d1a96d312", "x-b3-sampled", "1")
	s := tracer.start(1, h, "ingress", Server, false, time.Unix(1, 0))
	info := &streaminfo.Info{Protocol: "HTTP/1.1", ResponseCode: 503, RouteMetadata: map[string]map[string]any{"ns": {"o": map[string]any{"k": 1.0}}}}
	c.FinishDownstream(s, &formatter.Context{Info: info, RequestHeaders: h, Time: time.Unix(2, 0)})
	if x.span == nil {
		t.Fatal("what the headers sample is exported whatever the manager says")
	}
	e := &zipkinExporter{shared: true, service: "svc"}
	b, err := json.Marshal(e.span(x.span))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"traceId":"463ac35c9f6413ad","id":"a2fb4a1d1a96d312","name":"ingress","kind":"SERVER","timestamp":1000000,"duration":1000000,` +
		`"localEndpoint":{"serviceName":"svc","port":0},"tags":{"component":"proxy","d":"dd","downstream_cluster":"-","error":"true","h":"hv",` +
		`"http.method":"GET","http.protocol":"HTTP/1.1","http.status_code":"503","http.url":"http://a/ab","l":"v","m":"{\"k\":1}","request_size":"0",` +
		`"response_flags":"-","response_size":"0","user_agent":"-"},"shared":true}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

// capture keeps the last span.
type capture struct{ span *Span }

func (c *capture) add(s *Span) { c.span = s }
func (c *capture) close()      {}

func TestCompileErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"provider": {"name": "x", "typed_config": {"@type": "type.googleapis.com/envoy.config.trace.v3.XRayConfig"}}}`: `tracing.provider.typed_config: weir has no tracer "x"`,
		`{"custom_tags": [{"tag": "a"}]}`:                 "custom_tags[0]: needs one of",
		`{"custom_tags": [{"tag": "a", "metadata": {}}]}`: "custom_tags[0].metadata.kind: is required",
		`{"operation": "%NOPE%"}`:                         "tracing.operation: column 1",
	} {
		m := &hcmv3.HttpConnectionManager_Tracing{}
		if err := protojson.Unmarshal([]byte(text), m); err != nil {
			t.Fatal(err)
		}
		if _, err := Compile("tracing", m, nil, Options{Providers: &Providers{}, Stats: stats.NewStore()}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
