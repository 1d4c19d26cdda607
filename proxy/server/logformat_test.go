package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestApplicationLog(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{`{"log_format": {"text_format": "%Y [%l][%n] %v %%"}}`, "2026 [warning][main] it's \"x\" k=1 %\n"},
		{`{"log_format": {"json_format": {"Level": "%l", "Message": "%j"}}}`, `{"Level":"warning","Message":"it's \"x\" k=1"}` + "\n"},
	} {
		m := &bootstrapv3.Bootstrap_ApplicationLogConfig{}
		if err := protojson.Unmarshal([]byte(c.config), m); err != nil {
			t.Fatal(err)
		}
		f, err := applicationLog("application_log_config", m)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		l := newLoggers(&out, slog.LevelInfo)
		l.format(f, &out)
		r := slog.NewRecord(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), slog.LevelWarn, `it's "x"`, 0)
		r.Add("k", 1)
		if err := l.get("main").Handler().Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Errorf("%s: %q, want %q", c.config, out.String(), c.want)
		}
	}
	for config, want := range map[string]string{
		`{"log_format": {"text_format": "%q"}}`:   "application_log_config.log_format.text_format: weir does not know the flag %q",
		`{"log_format": {"text_format": "100%"}}`: "ends in %",
	} {
		m := &bootstrapv3.Bootstrap_ApplicationLogConfig{}
		if err := protojson.Unmarshal([]byte(config), m); err != nil {
			t.Fatal(err)
		}
		if _, err := applicationLog("application_log_config", m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}
