package health

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filesinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// Config is a compiled envoy.config.core.v3.HealthCheck.
type Config struct {
	Name                                        string // "" unless there are several
	Timeout, Interval                           time.Duration
	InitialJitter, IntervalJitter               time.Duration
	JitterPercent                               uint32
	UnhealthyThreshold, HealthyThreshold        uint32
	Reuse                                       bool
	NoTrafficInterval, NoTrafficHealthyInterval time.Duration
	UnhealthyInterval, UnhealthyEdgeInterval    time.Duration
	HealthyEdgeInterval                         time.Duration
	ALPN                                        []string
	Logs                                        []string // paths
	LogFailures, LogSuccess                     bool
	// IgnoreNew leaves hosts out of load calculations until their first check
	// (common_lb_config.ignore_new_hosts_until_first_hc).
	IgnoreNew bool

	HTTP *HTTP // one of them
	TCP  *TCP
	GRPC *GRPC
}

// TCP is a compiled TcpHealthCheck.
type TCP struct {
	Send    []byte
	Receive [][]byte
}

func (c *Config) http2() bool { return c.GRPC != nil || c.HTTP.HTTP2 }

func (c *Config) typeName() string {
	switch {
	case c.HTTP != nil:
		return "HTTP"
	case c.GRPC != nil:
		return "GRPC"
	}
	return "TCP"
}

// FromConfig compiles a cluster's health checks at p. Several have names.
func FromConfig(p field.Path, ms []*corev3.HealthCheck, rx *matcher.Regexes) (cs []*Config, err error) {
	for i, m := range ms {
		p := p.Index(i)
		switch name := m.GetName(); {
		case len(ms) > 1 && name == "":
			return nil, p.Dot("name").Errorf("missing: several health checks need names")
		case name != "" && slices.ContainsFunc(cs, func(c *Config) bool { return c.Name == name }):
			return nil, p.Dot("name").Errorf("two health checks are called %q", name)
		}
		c, err := compile(p, m, rx)
		if err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}

func compile(p field.Path, m *corev3.HealthCheck, rx *matcher.Regexes) (*Config, error) {
	c := &Config{
		Name:          m.GetName(),
		JitterPercent: m.GetIntervalJitterPercent(), Reuse: true, LogFailures: m.GetAlwaysLogHealthCheckFailures(), LogSuccess: m.GetAlwaysLogHealthCheckSuccess(),
		UnhealthyThreshold: m.GetUnhealthyThreshold().GetValue(), HealthyThreshold: m.GetHealthyThreshold().GetValue(),
		ALPN: m.GetTlsOptions().GetAlpnProtocols(),
	}
	if v := m.GetReuseConnection(); v != nil {
		c.Reuse = v.GetValue()
	}
	if err := firstError(
		field.Only(p, m, "name", "timeout", "interval", "initial_jitter", "interval_jitter", "interval_jitter_percent", "unhealthy_threshold",
			"healthy_threshold", "alt_port", "reuse_connection", "http_health_check", "tcp_health_check", "grpc_health_check",
			"no_traffic_interval", "no_traffic_healthy_interval", "unhealthy_interval", "unhealthy_edge_interval",
			"healthy_edge_interval", "event_log_path", "event_logger", "always_log_health_check_failures",
			"always_log_health_check_success", "tls_options"),
		c.times(p, m),
		c.sinks(p, m),
	); err != nil {
		return nil, err
	}
	switch {
	case m.GetUnhealthyThreshold() == nil:
		return nil, p.Dot("unhealthy_threshold").Errorf("missing")
	case m.GetHealthyThreshold() == nil:
		return nil, p.Dot("healthy_threshold").Errorf("missing")
	}
	return c, c.kind(p, m, rx)
}

func (c *Config) kind(p field.Path, m *corev3.HealthCheck, rx *matcher.Regexes) (err error) {
	switch x := m.GetHealthChecker().(type) {
	case *corev3.HealthCheck_HttpHealthCheck_:
		c.HTTP, err = httpCheck(p.Dot("http_health_check"), x.HttpHealthCheck, rx)
	case *corev3.HealthCheck_TcpHealthCheck_:
		p, t := p.Dot("tcp_health_check"), x.TcpHealthCheck
		c.TCP = &TCP{}
		if err := field.Only(p, t, "send", "receive"); err != nil {
			return err
		}
		if c.TCP.Send, err = payload(p.Dot("send"), t.GetSend()); err == nil {
			c.TCP.Receive, err = payloads(p.Dot("receive"), t.GetReceive())
		}
	case *corev3.HealthCheck_GrpcHealthCheck_:
		p, g := p.Dot("grpc_health_check"), x.GrpcHealthCheck
		c.GRPC = &GRPC{Service: g.GetServiceName(), Authority: g.GetAuthority()}
		if err := field.Only(p, g, "service_name", "authority", "initial_metadata"); err != nil {
			return err
		}
		c.GRPC.Headers, err = headers(p.Dot("initial_metadata"), g.GetInitialMetadata())
	default:
		return p.Errorf("needs one of http_health_check, tcp_health_check and grpc_health_check")
	}
	return err
}

func (c *Config) times(p field.Path, m *corev3.HealthCheck) error {
	for _, f := range []struct {
		name     string
		d        *durationpb.Duration
		out      *time.Duration
		def      time.Duration // 0: required
		positive bool
	}{
		{"timeout", m.GetTimeout(), &c.Timeout, 0, true},
		{"interval", m.GetInterval(), &c.Interval, 0, true},
		{"no_traffic_interval", m.GetNoTrafficInterval(), &c.NoTrafficInterval, time.Minute, true},
		{"no_traffic_healthy_interval", m.GetNoTrafficHealthyInterval(), &c.NoTrafficHealthyInterval, -1, true},
		{"unhealthy_interval", m.GetUnhealthyInterval(), &c.UnhealthyInterval, -1, true},
		{"unhealthy_edge_interval", m.GetUnhealthyEdgeInterval(), &c.UnhealthyEdgeInterval, -1, true},
		{"healthy_edge_interval", m.GetHealthyEdgeInterval(), &c.HealthyEdgeInterval, -1, true},
		{"initial_jitter", m.GetInitialJitter(), &c.InitialJitter, -1, false},
		{"interval_jitter", m.GetIntervalJitter(), &c.IntervalJitter, -1, false},
	} {
		*f.out = f.d.AsDuration()
		switch {
		case f.d == nil && f.def == 0:
			return p.Dot(f.name).Errorf("missing")
		case f.d == nil:
			*f.out = max(f.def, 0)
		case f.positive && *f.out <= 0:
			return p.Dot(f.name).Errorf("%v is not greater than 0", *f.out)
		}
	}
	for _, f := range []struct {
		out *time.Duration
		def time.Duration
	}{
		{&c.NoTrafficHealthyInterval, c.NoTrafficInterval},
		{&c.UnhealthyInterval, c.Interval},
		{&c.HealthyEdgeInterval, c.Interval},
	} {
		if *f.out == 0 {
			*f.out = f.def
		}
	}
	if c.UnhealthyEdgeInterval == 0 {
		c.UnhealthyEdgeInterval = c.UnhealthyInterval
	}
	return nil
}

func (c *Config) sinks(p field.Path, m *corev3.HealthCheck) error {
	//lint:ignore SA1019 Envoy still takes it
	if f := m.GetEventLogPath(); f != "" {
		c.Logs = append(c.Logs, f)
	}
	for i, e := range m.GetEventLogger() {
		p := p.Dot("event_logger").Index(i).Dot("typed_config")
		s := &filesinkv3.HealthCheckEventFileSink{}
		if !e.GetTypedConfig().MessageIs(s) {
			return p.Errorf("weir does not support the event sink %s (%s)", e.GetName(), e.GetTypedConfig().GetTypeUrl())
		}
		if err := e.GetTypedConfig().UnmarshalTo(s); err != nil {
			return p.Wrap(err)
		}
		if s.GetEventLogPath() == "" {
			return p.Dot("event_log_path").Errorf("missing")
		}
		c.Logs = append(c.Logs, s.GetEventLogPath())
	}
	return nil
}

func httpCheck(p field.Path, m *corev3.HealthCheck_HttpHealthCheck, rx *matcher.Regexes) (*HTTP, error) {
	c := &HTTP{Host: m.GetHost(), Path: m.GetPath(), Method: "GET", ResponseSize: 1024, HTTP2: m.GetCodecClientType() == typev3.CodecClientType_HTTP2}
	if err := field.Only(p, m, "host", "path", "send", "receive", "response_buffer_size", "request_headers_to_add",
		"request_headers_to_remove", "expected_statuses", "retriable_statuses", "codec_client_type", "service_name_matcher", "method"); err != nil {
		return nil, err
	}
	switch {
	case c.Path == "":
		return nil, p.Dot("path").Errorf("missing")
	case m.GetCodecClientType() == typev3.CodecClientType_HTTP3:
		return nil, p.Dot("codec_client_type").Errorf("weir does not support HTTP3")
	case m.GetMethod() == corev3.RequestMethod_CONNECT:
		return nil, p.Dot("method").Errorf("CONNECT is no health check")
	case m.GetMethod() != corev3.RequestMethod_METHOD_UNSPECIFIED:
		c.Method = m.GetMethod().String()
	}
	if n := m.GetResponseBufferSize(); n != nil {
		if c.ResponseSize = int(min(n.GetValue(), maxBody)); c.ResponseSize == 0 {
			c.ResponseSize = maxBody
		}
	}
	if s := m.GetServiceNameMatcher(); s != nil {
		sm, err := matcher.NewString(p.Dot("service_name_matcher"), s, rx)
		if err != nil {
			return nil, err
		}
		c.Service = &sm
	}
	for i, n := range m.GetRequestHeadersToRemove() {
		if unchangeable(n) {
			return nil, p.Dot("request_headers_to_remove").Index(i).Errorf("%s may not be removed", n)
		}
		c.Remove = append(c.Remove, strings.ToLower(n))
	}
	var err error
	if c.Send, err = payload(p.Dot("send"), m.GetSend()); err != nil {
		return nil, err
	}
	if len(c.Send) > 0 && !slices.Contains([]string{"POST", "PUT", "PATCH", "OPTIONS"}, c.Method) {
		return nil, p.Dot("send").Errorf("a payload needs a method that has a body, not %s", c.Method)
	}
	if c.Receive, err = payloads(p.Dot("receive"), m.GetReceive()); err != nil {
		return nil, err
	}
	if c.Headers, err = headers(p.Dot("request_headers_to_add"), m.GetRequestHeadersToAdd()); err != nil {
		return nil, err
	}
	if c.Expected, err = statuses(p.Dot("expected_statuses"), m.GetExpectedStatuses()); err != nil {
		return nil, err
	}
	if len(c.Expected) == 0 {
		c.Expected = []StatusRange{{200, 201}}
	}
	c.Retriable, err = statuses(p.Dot("retriable_statuses"), m.GetRetriableStatuses())
	return c, err
}

// unchangeable tells whether a header is one that configurations may neither
// set nor remove.
func unchangeable(name string) bool {
	return strings.HasPrefix(name, ":") || strings.EqualFold(name, "host")
}

func statuses(p field.Path, rs []*typev3.Int64Range) (out []StatusRange, err error) {
	for i, r := range rs {
		if r.GetStart() >= r.GetEnd() || r.GetStart() < 100 || r.GetEnd() > 600 {
			return nil, p.Index(i).Errorf("[%d, %d) is no range of statuses from 100 to 599", r.GetStart(), r.GetEnd())
		}
		out = append(out, StatusRange{int(r.GetStart()), int(r.GetEnd())})
	}
	return out, nil
}

// headers takes fixed values: there is no request that commands could be about.
func headers(p field.Path, hs []*corev3.HeaderValueOption) (out []Header, err error) {
	for i, o := range hs {
		p, h := p.Index(i), o.GetHeader()
		if err := field.Only(p, o, "header", "append", "append_action"); err != nil {
			return nil, err
		}
		if err := field.Only(p.Dot("header"), h, "key", "value"); err != nil {
			return nil, err
		}
		if unchangeable(h.GetKey()) {
			return nil, p.Dot("header").Dot("key").Errorf("%s may not be changed", h.GetKey())
		}
		if strings.Contains(strings.ReplaceAll(h.GetValue(), "%%", ""), "%") {
			return nil, p.Dot("header").Dot("value").Errorf("weir does not support commands in the headers of health checks: %q", h.GetValue())
		}
		a := Header{Name: strings.ToLower(h.GetKey()), Value: strings.ReplaceAll(h.GetValue(), "%%", "%")}
		switch o.GetAppendAction() {
		case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			a.Overwrite = true
		case corev3.HeaderValueOption_ADD_IF_ABSENT:
			a.IfAbsent = true
		case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
			return nil, p.Dot("append_action").Errorf("weir does not support OVERWRITE_IF_EXISTS here")
		}
		out = append(out, a)
	}
	return out, nil
}

func payloads(p field.Path, ms []*corev3.HealthCheck_Payload) (out [][]byte, err error) {
	for i, m := range ms {
		b, err := payload(p.Index(i), m)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// payload is hexadecimal text, or bytes.
func payload(p field.Path, m *corev3.HealthCheck_Payload) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	b := m.GetBinary()
	if t := m.GetText(); t != "" {
		var err error
		if b, err = hex.DecodeString(t); err != nil {
			return nil, p.Dot("text").Errorf("%q is not hexadecimal", t)
		}
	}
	if len(b) == 0 {
		return nil, p.Errorf("empty")
	}
	return b, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
