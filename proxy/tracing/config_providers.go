package tracing

import (
	"context"
	"crypto/sha256"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	samplersv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/tracers/opentelemetry/samplers/v3"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/xds/protos"
)

// Providers are the tracers in use. Connection managers with the same provider
// share one. It is used on main.
type Providers struct {
	Clients telemetry.Clients
	Stats   *stats.Store
	Loops   []*network.Loop
	Runtime *runtime.Loader
	Cluster string          // the node's, which is Zipkin's service name
	Local   network.Address // the machine's
	// Default is the bootstrap's tracing.http, for managers without a provider.
	Default *tracev3.Tracing_Http

	tracers map[string]*Tracer
}

// Types are the providers that weir has, by message.
var Types = map[string]func(*Providers, field.Path, *tracev3.Tracing_Http) (*Tracer, error){
	"envoy.config.trace.v3.OpenTelemetryConfig": (*Providers).newOpenTelemetry,
	"envoy.config.trace.v3.ZipkinConfig":        (*Providers).newZipkin,
	"envoy.config.trace.v3.DatadogConfig":       (*Providers).newDatadog,
	"envoy.config.trace.v3.SkyWalkingConfig":    (*Providers).newSkyWalking,
}

// get is the tracer of a provider at p; nil when there is none.
func (s *Providers) get(p field.Path, m *tracev3.Tracing_Http) (*Tracer, error) {
	if m == nil {
		if p, m = "tracing.http", s.Default; m == nil {
			return nil, nil
		}
	}
	config := p.Dot("typed_config")
	make := Types[protos.TypeName(m.GetTypedConfig())]
	if make == nil {
		return nil, config.Errorf("weir has no tracer %q (%s)", m.GetName(), m.GetTypedConfig().GetTypeUrl())
	}
	hash := sha256.Sum256(m.GetTypedConfig().GetValue())
	key := m.GetTypedConfig().GetTypeUrl() + string(hash[:])
	if s.tracers == nil {
		s.tracers = map[string]*Tracer{}
	}
	t := s.tracers[key]
	if t == nil {
		var err error
		if t, err = make(s, config, m); err != nil {
			return nil, err
		}
		t.key, s.tracers[key] = key, t
	}
	t.refs++
	return t, nil
}

func (s *Providers) put(t *Tracer) {
	if t.refs--; t.refs == 0 {
		t.exporter.close()
		delete(s.tracers, t.key)
	}
}

// queue gathers spans until there are minSpans or the interval is over; the
// runtime may change both.
func (s *Providers) queue(tracer string, onTimer *stats.SharedCounter) telemetry.QueueOptions {
	return telemetry.QueueOptions{
		Size:     int(s.Runtime.Integer("tracing."+tracer+".min_flush_spans", 5)),
		Interval: time.Duration(s.Runtime.Integer("tracing."+tracer+".flush_interval_ms", 5000)) * time.Millisecond,
		ByTimer:  onTimer.Inc,
	}
}

func (s *Providers) newOpenTelemetry(p field.Path, http *tracev3.Tracing_Http) (*Tracer, error) {
	m, err := protos.UnpackAs[*tracev3.OpenTelemetryConfig](p, http.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "grpc_service", "http_service", "service_name", "resource_detectors", "sampler", "max_cache_size",
		"set_telemetry_sdk_resource_attributes", "set_service_name_resource_attribute", "set_instrumentation_scope"); err != nil {
		return nil, err
	}
	e := &otelExporter{timeout: time.Second, sent: s.Stats.Counter("tracing.opentelemetry.spans_sent")}
	if m.GetSetInstrumentationScope() == nil || m.GetSetInstrumentationScope().GetValue() {
		e.scope = otelScope()
	}
	if e.resource, err = otelResource(p, m); err != nil {
		return nil, err
	}
	switch {
	case m.GetGrpcService() != nil && m.GetHttpService() != nil:
		return nil, p.Errorf("either grpc_service or http_service, not both")
	case m.GetGrpcService() != nil:
		if e.grpc, err = s.Clients.GRPC(p.Dot("grpc_service"), m.GetGrpcService()); err != nil {
			return nil, err
		}
		if d := m.GetGrpcService().GetTimeout(); d != nil {
			e.timeout = d.AsDuration()
		}
	case m.GetHttpService() != nil:
		var timeout time.Duration
		if e.http, e.request, timeout, err = telemetry.HTTPService(p.Dot("http_service"), m.GetHttpService(), s.Clients); err != nil {
			return nil, err
		}
		if timeout > 0 {
			e.timeout = timeout
		}
	}
	t := &Tracer{format: w3c{}, exporter: e, begin: beginOTel}
	if t.sampler, err = newSampler(p.Dot("sampler"), m.GetSampler(), 0); err != nil {
		return nil, err
	}
	q := s.queue("opentelemetry", s.Stats.Counter("tracing.opentelemetry.timer_flushed"))
	if v := m.GetMaxCacheSize(); v != nil {
		q.Most = int(v.GetValue())
	} else {
		q.Most = 1024
	}
	dropped := s.Stats.Counter("tracing.opentelemetry.spans_dropped")
	q.Dropped = func(n int) { dropped.Add(uint64(n)) }
	q.Server = e.grpc
	if e.grpc == nil && e.http == nil { // as Envoy: spans go nowhere
		e.queue = telemetry.NewQueue(s.Loops, q, func(context.Context, []*Span) {})
	} else {
		e.queue = telemetry.NewQueue(s.Loops, q, e.send)
	}
	return t, nil
}

func otelResource(p field.Path, m *tracev3.OpenTelemetryConfig) (*resourcepb.Resource, error) {
	r, err := telemetry.Resource(p.Dot("resource_detectors"), m.GetResourceDetectors())
	if err != nil {
		return nil, err
	}
	if v := m.GetSetTelemetrySdkResourceAttributes(); v != nil && !v.GetValue() {
		telemetry.Drop(r, "telemetry.sdk.")
	}
	if v := m.GetSetServiceNameResourceAttribute(); v == nil || v.GetValue() {
		name := m.GetServiceName()
		if name == "" {
			name = "unknown_service:envoy"
		}
		telemetry.Default(r, "service.name", name)
	}
	return r, nil
}

// maxSamplers bounds the nesting of parent_based samplers.
const maxSamplers = 8

func newSampler(p field.Path, m *corev3.TypedExtensionConfig, depth int) (sampler, error) {
	if m == nil {
		return nil, nil
	}
	if depth > maxSamplers {
		return nil, p.Errorf("samplers are nested deeper than %d", maxSamplers)
	}
	p = p.Dot("typed_config")
	unpack := func(into proto.Message, fields ...string) error {
		if err := protos.Unpack(p, m.GetTypedConfig(), into); err != nil {
			return err
		}
		return field.Only(p, into, fields...)
	}
	switch protos.TypeName(m.GetTypedConfig()) {
	case "envoy.extensions.tracers.opentelemetry.samplers.v3.AlwaysOnSamplerConfig":
		return alwaysOn{}, unpack(&samplersv3.AlwaysOnSamplerConfig{})
	case "envoy.extensions.tracers.opentelemetry.samplers.v3.TraceIdRatioBasedSamplerConfig":
		c := &samplersv3.TraceIdRatioBasedSamplerConfig{}
		err := unpack(c, "sampling_percentage")
		pct := runtime.NewPercent(c.GetSamplingPercentage())
		return ratio{pct.Numerator, pct.Denominator}, err
	case "envoy.extensions.tracers.opentelemetry.samplers.v3.ParentBasedSamplerConfig":
		c := &samplersv3.ParentBasedSamplerConfig{}
		if err := unpack(c, "wrapped_sampler"); err != nil {
			return nil, err
		}
		root, err := newSampler(p.Dot("wrapped_sampler"), c.GetWrappedSampler(), depth+1)
		if err == nil && root == nil {
			err = p.Dot("wrapped_sampler").Errorf("is required")
		}
		return parentBased{root}, err
	}
	return nil, p.Errorf("weir has no sampler %q (%s)", m.GetName(), m.GetTypedConfig().GetTypeUrl())
}

func (s *Providers) newZipkin(p field.Path, http *tracev3.Tracing_Http) (*Tracer, error) {
	m, err := protos.UnpackAs[*tracev3.ZipkinConfig](p, http.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "collector_cluster", "collector_endpoint", "trace_id_128bit", "shared_span_context", "collector_endpoint_version",
		"collector_hostname", "trace_context_option"); err != nil {
		return nil, err
	}
	contentType, encode := "application/json", zipkinJSON
	switch v := m.GetCollectorEndpointVersion(); v {
	case tracev3.ZipkinConfig_HTTP_JSON:
	case tracev3.ZipkinConfig_HTTP_PROTO:
		contentType, encode = "application/x-protobuf", zipkinProto
	default:
		return nil, p.Dot("collector_endpoint_version").Errorf("weir does not support %v, only HTTP_JSON and HTTP_PROTO", v)
	}
	shared := m.GetSharedSpanContext() == nil || m.GetSharedSpanContext().GetValue()
	host := m.GetCollectorHostname()
	if host == "" {
		host = m.GetCollectorCluster()
	}
	e := &zipkinExporter{
		http:    s.Clients.HTTP(m.GetCollectorCluster()),
		request: telemetry.Request{Host: host, Path: m.GetCollectorEndpoint(), Headers: [][2]string{{"content-type", contentType}}},
		encode:  encode,
		shared:  shared, service: s.Cluster, local: s.Local, stats: newZipkinStats(s.Stats),
	}
	q := s.queue("zipkin", e.stats.timerFlushed)
	e.queue = telemetry.NewQueue(s.Loops, q, e.send)
	o := zipkinOptions{long: m.GetTraceId_128Bit(), shared: shared}
	return &Tracer{
		format:   b3{w3c: m.GetTraceContextOption() == tracev3.ZipkinConfig_USE_B3_WITH_W3C_PROPAGATION},
		exporter: e, begin: o.begin, byHost: true,
	}, nil
}
