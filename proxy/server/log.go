package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/admin"
)

// Envoy has two levels that slog lacks.
const (
	levelTrace    = slog.Level(-8)
	levelCritical = slog.Level(12)
	levelOff      = slog.Level(100)
)

func parseLevel(s string) (slog.Level, error) {
	switch s {
	case "trace":
		return levelTrace, nil
	case "debug":
		return slog.LevelDebug, nil
	case "", "info":
		return slog.LevelInfo, nil
	case "warning", "warn":
		return slog.LevelWarn, nil
	case "error", "err":
		return slog.LevelError, nil
	case "critical":
		return levelCritical, nil
	case "off":
		return levelOff, nil
	}
	return 0, fmt.Errorf("log level %q: there are %s", s, levelNames())
}

// loggers are the process's named loggers. Each has a level of its own, which
// /logging changes while they run.
type loggers struct {
	out   slog.Handler
	names []string
	level map[string]*atomic.Int64
}

// loggerNames are Envoy's loggers, in its order: a level can be set for each,
// those that weir says nothing under included, so that scripts that turn up
// "http2" or "jwt" go on working.
var loggerNames = []string{
	"a2a", "admin", "ai_protocol_manager", "alternate_protocols_cache", "aws", "assert", "backtrace", "basic_auth",
	"cache_filter", "client", "config", "connection", "conn_handler", "compression", "credential_injector",
	"decompression", "dns", "dubbo", "envoy_bug", "ext_authz", "ext_proc", "rocketmq", "file", "filter",
	"forward_proxy", "geolocation", "grpc", "happy_eyeballs", "hc", "health_checker", "http", "http2", "hystrix",
	"init", "io", "jwt", "json_rpc", "kafka", "key_value_store", "lua", "local_rate_limit", "main", "matcher",
	"mcp", "misc", "mongo", "multi_connection", "notification", "oauth2", "quic", "quic_stream", "pool",
	"rate_limit_quota", "rbac", "rds", "redis", "router", "runtime", "stats", "secret", "sse", "tap", "testing",
	"thrift", "tracing", "upstream", "udp", "wasm", "websocket", "golang", "stats_sinks", "dynamic_modules",
	"ip_tagging",
}

func newLoggers(w io.Writer, level slog.Level) *loggers {
	l := &loggers{out: slog.NewTextHandler(w, &slog.HandlerOptions{Level: levelTrace}), names: loggerNames, level: map[string]*atomic.Int64{}}
	for _, n := range l.names {
		v := &atomic.Int64{}
		v.Store(int64(level))
		l.level[n] = v
	}
	return l
}

// format changes how the lines of loggers look that are got from now on.
func (l *loggers) format(f *logFormat, w io.Writer) {
	l.out = &formatHandler{f: f, w: w, mu: &sync.Mutex{}}
}

// get is the logger of a name in loggerNames.
func (l *loggers) get(name string) *slog.Logger {
	return slog.New(&leveled{Handler: l.out.WithAttrs([]slog.Attr{slog.String("logger", name)}), level: l.level[name]})
}

// Levels implements admin.Loggers.
func (l *loggers) Levels() []admin.LoggerLevel {
	out := make([]admin.LoggerLevel, len(l.names))
	for i, n := range l.names {
		out[i] = admin.LoggerLevel{Name: n, Level: levelName(slog.Level(l.level[n].Load()))}
	}
	return out
}

// SetLevel implements admin.Loggers.
func (l *loggers) SetLevel(name, level string) {
	if v, err := parseLevel(level); err == nil && l.level[name] != nil {
		l.level[name].Store(int64(v))
	}
}

func levelName(v slog.Level) string {
	for _, n := range levels {
		if x, _ := parseLevel(n); x == v {
			return n
		}
	}
	return v.String()
}

// leveled is a handler whose level can change.
type leveled struct {
	slog.Handler
	level *atomic.Int64
}

func (h *leveled) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.Level(h.level.Load())
}

func (h *leveled) WithAttrs(a []slog.Attr) slog.Handler {
	return &leveled{h.Handler.WithAttrs(a), h.level}
}

func (h *leveled) WithGroup(g string) slog.Handler {
	return &leveled{h.Handler.WithGroup(g), h.level}
}
