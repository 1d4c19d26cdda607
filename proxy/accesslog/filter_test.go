package accesslog

import (
	"strings"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

// The verdicts are Envoy 1.40's.
func TestFilters(t *testing.T) {
	for _, tc := range []struct {
		filter string
		set    func(*formatter.Context)
		want   bool
	}{
		{`{"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400}}}}`, code(200), false},
		{`{"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 400}}}}`, code(400), true},
		{`{"status_code_filter": {"comparison": {"op": "EQ", "value": {"default_value": 0}}}}`, code(0), true},
		{`{"status_code_filter": {"comparison": {"op": "LE", "value": {"default_value": 300}}}}`, code(301), false},
		{`{"status_code_filter": {"comparison": {"op": "NE", "value": {"default_value": 200}}}}`, code(201), true},
		{`{"status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "min"}}}}`, code(250), true},
		{`{"duration_filter": {"comparison": {"op": "GE", "value": {"default_value": 200}}}}`, took(199 * time.Millisecond), false},
		{`{"duration_filter": {"comparison": {"op": "GE", "value": {"default_value": 200}}}}`, took(200 * time.Millisecond), true},
		{`{"not_health_check_filter": {}}`, code(200), true},
		{`{"not_health_check_filter": {}}`, func(c *formatter.Context) { c.Info.HealthCheck = true }, false},
		{`{"traceable_filter": {}}`, code(200), false},
		{`{"runtime_filter": {"runtime_key": "k", "percent_sampled": {"numerator": 50}}}`, id("00000031-0000-4000-8000-000000000000"), true},
		{`{"runtime_filter": {"runtime_key": "k", "percent_sampled": {"numerator": 50}}}`, id("00000032-0000-4000-8000-000000000000"), false},
		{`{"runtime_filter": {"runtime_key": "k", "percent_sampled": {"numerator": 50}}}`, id("00000064-0000-4000-8000-000000000000"), true},
		{`{"runtime_filter": {"runtime_key": "k", "percent_sampled": {"numerator": 10000, "denominator": "TEN_THOUSAND"}}}`, id("zz"), true},
		{`{"header_filter": {"header": {"name": "X-K", "string_match": {"exact": "v"}}}}`, line("x-k", "v"), true},
		{`{"header_filter": {"header": {"name": "X-K", "string_match": {"exact": "v"}}}}`, func(c *formatter.Context) { c.RequestHeaders = nil }, false},
		{`{"response_flag_filter": {}}`, flags(0), false},
		{`{"response_flag_filter": {}}`, flags(streaminfo.NoRouteFound), true},
		{`{"response_flag_filter": {"flags": ["UH", "NR"]}}`, flags(streaminfo.NoRouteFound), true},
		{`{"response_flag_filter": {"flags": ["UH"]}}`, flags(streaminfo.NoRouteFound), false},
		{`{"grpc_status_filter": {"statuses": ["UNKNOWN"]}}`, code(200), true},
		{`{"grpc_status_filter": {"statuses": ["UNKNOWN"]}}`, grpc("5"), false},
		{`{"grpc_status_filter": {"statuses": ["UNKNOWN"], "exclude": true}}`, grpc("5"), true},
		{`{"log_type_filter": {"types": ["DownstreamEnd"]}}`, logType(streaminfo.LogDownstreamEnd), true},
		{`{"log_type_filter": {"types": ["TcpConnectionStart"]}}`, logType(streaminfo.LogTCPConnectionStart), true},
		{`{"log_type_filter": {"types": ["DownstreamEnd"], "exclude": true}}`, logType(streaminfo.LogDownstreamEnd), false},
		{`{"metadata_filter": {"matcher": {"filter": "ns", "path": [{"key": "a"}], "value": {"string_match": {"exact": "x"}}}}}`, meta("x"), true},
		{`{"metadata_filter": {"matcher": {"filter": "ns", "path": [{"key": "a"}], "value": {"string_match": {"exact": "x"}}}}}`, meta("y"), false},
		{`{"metadata_filter": {"matcher": {"filter": "ns", "path": [{"key": "b"}], "value": {"string_match": {"exact": "x"}}}}}`, meta("x"), true},
		{`{"metadata_filter": {"matcher": {"filter": "ns", "path": [{"key": "b"}], "value": {"string_match": {"exact": "x"}}}, "match_if_key_not_found": false}}`, meta("x"), false},
		{`{"and_filter": {"filters": [{"not_health_check_filter": {}}, {"traceable_filter": {}}]}}`, code(200), false},
		{`{"or_filter": {"filters": [{"traceable_filter": {}}, {"not_health_check_filter": {}}]}}`, code(200), true},
	} {
		f, err := CompileFilter("filter", parse(t, tc.filter), Options{Runtime: func(key string, otherwise uint64) uint64 {
			if key == "min" {
				return 250
			}
			return otherwise
		}})
		if err != nil {
			t.Errorf("%s: %v", tc.filter, err)
			continue
		}
		c := request("/")
		tc.set(c)
		if got := f(c); got != tc.want {
			t.Errorf("%s: %v", tc.filter, got)
		}
	}
}

func parse(t *testing.T, filter string) *accesslogv3.AccessLogFilter {
	t.Helper()
	m := &accesslogv3.AccessLogFilter{}
	if err := protojson.Unmarshal([]byte(filter), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func code(n int) func(*formatter.Context) {
	return func(c *formatter.Context) { c.Info.ResponseCode = n }
}
func took(d time.Duration) func(*formatter.Context) {
	return func(c *formatter.Context) { c.Info.Begin, c.Now = time.Second, time.Second+d }
}
func id(s string) func(*formatter.Context) {
	return func(c *formatter.Context) { c.RequestHeaders.Add(http.XRequestID, s) }
}
func line(name, value string) func(*formatter.Context) {
	return func(c *formatter.Context) { c.RequestHeaders.AddName(name, value) }
}
func flags(f streaminfo.Flags) func(*formatter.Context) {
	return func(c *formatter.Context) { c.Info.Flags = f }
}
func logType(t streaminfo.LogType) func(*formatter.Context) {
	return func(c *formatter.Context) { c.Info.LogType = t }
}
func meta(v string) func(*formatter.Context) {
	return func(c *formatter.Context) { c.Info.SetMetadata("ns", "a", v) }
}
func grpc(status string) func(*formatter.Context) {
	return func(c *formatter.Context) {
		c.Info.ResponseCode = 200
		c.ResponseHeaders = new(http.HeaderMap)
		c.ResponseHeaders.Add(http.GrpcStatus, status)
	}
}

func TestCompileErrors(t *testing.T) {
	const file = `"typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/null"`
	for _, tc := range []struct{ config, want string }{
		{`{"name": "f"}`, "access_log[0].typed_config: an access logger's configuration is required"},
		{`{"name": "g", "typed_config": {"@type": "type.googleapis.com/envoy.config.accesslog.v3.AccessLog"}}`, `access_log[0].typed_config: weir has no access logger "g"`},
		{`{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/nonexistent/dir/x"}}`, "typed_config.path: the log file can't be opened: open /nonexistent/dir/x: no such file"},
		{`{"name": "f", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"}}`, "typed_config.path: value length must be at least 1"},
		{`{"name": "f", ` + file + `, "log_format": {"text_format_source": {"inline_string": "a %NOPE%"}}}}`, "log_format.text_format_source: column 3: operator NOPE"},
		{`{"name": "f", ` + file + `, "log_format": {"json_format": {"a": {"b": "%NOPE%"}}}}}`, `json_format["a"]["b"]: column 1: operator NOPE`},
		{`{"name": "f", ` + file + `, "log_format": {"text_format_source": {"inline_string": ""}, "formatters": [{"name": "cel", "typed_config": {"@type": "type.googleapis.com/envoy.config.accesslog.v3.AccessLog"}}]}}}`, `formatters[0].typed_config: weir has no formatter "cel"`},
		{`{"name": "f", "filter": {}, ` + file + `}}`, "access_log[0].filter: a filter is required"},
		{`{"name": "f", "filter": {"extension_filter": {"name": "cel"}}, ` + file + `}}`, `filter.extension_filter.typed_config: weir has no access log filter "cel"`},
		{`{"name": "f", "filter": {"and_filter": {"filters": [{"traceable_filter": {}}]}}, ` + file + `}}`, "and_filter.filters: at least 2"},
		{`{"name": "f", "filter": {"response_flag_filter": {"flags": ["XX"]}}, ` + file + `}}`, `flags[0]: there is no response flag "XX"`},
		{`{"name": "f", "filter": {"metadata_filter": {"matcher": {"filter": "n", "invert": true}}}, ` + file + `}}`, "metadata_filter.matcher: weir does not support invert"},
	} {
		w := NewWriters(newLoops(1), WritersOptions{})
		l := &accesslogv3.AccessLog{}
		if err := protojson.Unmarshal([]byte(tc.config), l); err != nil {
			t.Fatalf("%s: %v", tc.config, err)
		}
		_, err := Compile(field.Path("access_log"), []*accesslogv3.AccessLog{l}, Options{Writers: w})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.config, err, tc.want)
		}
		w.Close()
	}
}
