package tracing

import (
	"os"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	uuidv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/request_id/uuid/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	tracingv3 "github.com/envoyproxy/go-control-plane/envoy/type/tracing/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/stats"
)

// Options are what a connection manager's tracing needs of the server.
type Options struct {
	Providers  *Providers
	Runtime    *runtime.Loader
	Stats      *stats.Store
	StatPrefix string // the manager's, "in" for http.in.
	Egress     bool   // the listener's traffic_direction is OUTBOUND
	NodeID     string
	Zone       string
}

// defaultMaxPath is max_path_tag_length's.
const defaultMaxPath = 256

// Compile compiles a connection manager's tracing at p. requestID is its
// request_id_extension, nil when it is not given.
func Compile(p field.Path, m *hcmv3.HttpConnectionManager_Tracing, requestID *uuidv3.UuidRequestIdConfig, o Options) (*Config, error) {
	if err := field.Only(p, m, "client_sampling", "random_sampling", "overall_sampling", "verbose", "max_path_tag_length", "custom_tags",
		"provider", "spawn_upstream_span", "operation", "upstream_operation", "no_context_propagation"); err != nil {
		return nil, err
	}
	c := &Config{
		client:  o.Runtime.Percentage("tracing.client_enabled", percent(m.GetClientSampling())),
		random:  o.Runtime.Percentage("tracing.random_sampling", percent(m.GetRandomSampling())),
		overall: o.Runtime.Percentage("tracing.global_enabled", percent(m.GetOverallSampling())),
		verbose: m.GetVerbose(), spawn: m.GetSpawnUpstreamSpan().GetValue(), egress: o.Egress, noPropagation: m.GetNoContextPropagation(),
		maxPath:     defaultMaxPath,
		byRequestID: requestID.GetUseRequestIdForTraceSampling() == nil || requestID.GetUseRequestIdForTraceSampling().GetValue(),
		packReason:  requestID.GetPackTraceReason() == nil || requestID.GetPackTraceReason().GetValue(),
		nodeID:      o.NodeID, zone: o.Zone,
	}
	if v := m.GetMaxPathTagLength(); v != nil {
		c.maxPath = int(v.GetValue())
	}
	var err error
	if c.operation, err = operation(p.Dot("operation"), m.GetOperation()); err != nil {
		return nil, err
	}
	if c.upstream, err = operation(p.Dot("upstream_operation"), m.GetUpstreamOperation()); err != nil {
		return nil, err
	}
	if c.tags, err = NewCustomTags(p.Dot("custom_tags"), m.GetCustomTags()); err != nil {
		return nil, err
	}
	if c.tracer, err = o.Providers.get(p.Dot("provider"), m.GetProvider()); err != nil {
		return nil, err
	}
	if c.tracer != nil {
		c.close = func() { o.Providers.put(c.tracer) }
	}
	c.group = NewStats(o.Stats, o.StatPrefix)
	return c, nil
}

func operation(p field.Path, format string) (*formatter.Formatter, error) {
	if format == "" {
		return nil, nil
	}
	return formatter.Compile(p, format)
}

// percent is a Percent in hundredths, as Envoy rounds it; nil is 100 %.
func percent(m *typev3.Percent) runtime.Percent {
	if m == nil {
		return runtime.Percent{Numerator: 10_000, Denominator: 10_000}
	}
	return runtime.Percent{Numerator: uint64(m.GetValue() * 100), Denominator: 10_000}
}

func newCustomTag(p field.Path, m *tracingv3.CustomTag) (customTag, error) {
	t := customTag{name: m.GetTag()}
	if m.GetTag() == "" {
		return t, p.Dot("tag").Errorf("is required")
	}
	if v := m.GetValueType(); v != tracingv3.CustomTag_UNSPECIFIED && v != tracingv3.CustomTag_STRING {
		return t, p.Dot("value_type").Errorf("weir does not support %v", v)
	}
	switch v := m.GetType().(type) {
	case *tracingv3.CustomTag_Literal_:
		t.fixed = v.Literal.GetValue()
	case *tracingv3.CustomTag_Environment_:
		t.fixed, t.otherwise = os.Getenv(v.Environment.GetName()), v.Environment.GetDefaultValue()
	case *tracingv3.CustomTag_RequestHeader:
		t.header, t.otherwise = matcher.LowerASCII(v.RequestHeader.GetName()), v.RequestHeader.GetDefaultValue()
	case *tracingv3.CustomTag_Metadata_:
		t.otherwise = v.Metadata.GetDefaultValue()
		t.namespace = v.Metadata.GetMetadataKey().GetKey()
		for i, s := range v.Metadata.GetMetadataKey().GetPath() {
			if err := field.Only(p.Dot("metadata.metadata_key.path").Index(i), s, "key"); err != nil {
				return t, err
			}
			t.path = append(t.path, s.GetKey())
		}
		t.metadata = metadataOf(v.Metadata.GetKind())
		if t.metadata == nil {
			return t, p.Dot("metadata").Dot("kind").Errorf("is required")
		}
	case *tracingv3.CustomTag_Value:
		var err error
		t.format, err = formatter.CompileHeader(p.Dot("value"), v.Value)
		return t, err
	default:
		return t, p.Errorf("needs one of literal, environment, request_header, metadata, value")
	}
	return t, nil
}

func metadataOf(k *metadatav3.MetadataKind) func(*formatter.Context) map[string]map[string]any {
	switch k.GetKind().(type) {
	case *metadatav3.MetadataKind_Request_:
		return func(c *formatter.Context) map[string]map[string]any { return c.Info.Metadata }
	case *metadatav3.MetadataKind_Route_:
		return func(c *formatter.Context) map[string]map[string]any { return c.Info.RouteMetadata }
	case *metadatav3.MetadataKind_Cluster_:
		return func(c *formatter.Context) map[string]map[string]any { return c.Info.ClusterMetadata }
	case *metadatav3.MetadataKind_Host_:
		return func(c *formatter.Context) map[string]map[string]any { return c.Info.UpstreamMetadata }
	}
	return nil
}
