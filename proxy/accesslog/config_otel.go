package accesslog

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	otelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/xds/protos"
)

func newOTel(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*otelv3.OpenTelemetryAccessLogConfig](p, config)
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "common_config", "grpc_service", "http_service", "disable_builtin_labels", "resource_attributes", "resource_detectors",
		"body", "attributes", "stat_prefix", "formatters", "log_name", "buffer_flush_interval", "buffer_size_bytes", "custom_tags", "filter_state_objects_to_log"); err != nil {
		return nil, err
	}
	prefix := "access_logs.open_telemetry_access_log."
	if m.GetStatPrefix() != "" {
		prefix += m.GetStatPrefix() + "."
	}
	l := &otelLogger{written: o.Stats.Counter(prefix + "logs_written"), dropped: o.Stats.Counter(prefix + "logs_dropped")}
	name, interval, size := m.GetLogName(), m.GetBufferFlushInterval(), m.GetBufferSizeBytes()
	service, servicePath := m.GetGrpcService(), p.Dot("grpc_service")
	//lint:ignore SA1019 deprecated, but Envoy obeys it
	if c := m.GetCommonConfig(); c != nil {
		cp := p.Dot("common_config")
		if err := field.Only(cp, c, "log_name", "grpc_service", "transport_api_version", "buffer_flush_interval", "buffer_size_bytes"); err != nil {
			return nil, err
		}
		if err := protos.CheckVersion(cp.Dot("transport_api_version"), c.GetTransportApiVersion()); err != nil {
			return nil, err
		}
		name, interval, size, service, servicePath = c.GetLogName(), c.GetBufferFlushInterval(), c.GetBufferSizeBytes(), c.GetGrpcService(), cp.Dot("grpc_service")
	}
	if err := l.setServer(p, servicePath, service, m, o); err != nil {
		return nil, err
	}
	if err := l.setResource(p, m, name, o); err != nil {
		return nil, err
	}
	extensions, err := formatter.CompileExtensions(p.Dot("formatters"), m.GetFormatters())
	if err != nil {
		return nil, err
	}
	if m.GetBody() != nil {
		v, err := newOTelValue(p.Dot("body"), m.GetBody(), extensions)
		if err != nil {
			return nil, err
		}
		l.body = &v
	}
	if l.attributes, err = newOTelFields(p.Dot("attributes").Dot("values"), m.GetAttributes().GetValues(), extensions); err != nil {
		return nil, err
	}
	if l.tags, err = tracing.NewCustomTags(p.Dot("custom_tags"), m.GetCustomTags()); err != nil {
		return nil, err
	}
	if l.state, err = newOTelStates(p.Dot("filter_state_objects_to_log"), m.GetFilterStateObjectsToLog()); err != nil {
		return nil, err
	}
	l.queue = telemetry.NewQueue(o.Loops, batches(interval, size, l.grpc, l.dropped.Add), l.send)
	return l, nil
}

func (l *otelLogger) setServer(p, servicePath field.Path, service *corev3.GrpcService, m *otelv3.OpenTelemetryAccessLogConfig, o *Options) (err error) {
	if m.GetHttpService() != nil {
		l.http, l.request, l.timeout, err = telemetry.HTTPService(p.Dot("http_service"), m.GetHttpService(), o.Clients)
		return err
	}
	if service == nil {
		return servicePath.Errorf("is required")
	}
	l.grpc, err = o.Clients.GRPC(servicePath, service)
	return err
}

// setResource puts together what the records' source is.
func (l *otelLogger) setResource(p field.Path, m *otelv3.OpenTelemetryAccessLogConfig, name string, o *Options) error {
	l.resource = &resourcepb.Resource{}
	if !m.GetDisableBuiltinLabels() {
		n := o.Clients.Node()
		l.resource.Attributes = []*commonpb.KeyValue{
			telemetry.Attribute("log_name", name), telemetry.Attribute("zone_name", n.GetLocality().GetZone()),
			telemetry.Attribute("cluster_name", n.GetCluster()), telemetry.Attribute("node_name", n.GetId()),
		}
	}
	if len(m.GetResourceDetectors()) > 0 {
		r, err := telemetry.Resource(p.Dot("resource_detectors"), m.GetResourceDetectors())
		if err != nil {
			return err
		}
		telemetry.Drop(r, "telemetry.sdk.")
		l.resource.Attributes = append(l.resource.Attributes, r.Attributes...)
	}
	l.resource.Attributes = append(l.resource.Attributes, m.GetResourceAttributes().GetValues()...)
	return nil
}

// newOTelStates compiles attributes of the stream's filter state, as text.
func newOTelStates(p field.Path, names []string) (out []otelField, err error) {
	for i, name := range names {
		f, err := formatter.CompileHeader(p.Index(i), "%FILTER_STATE("+name+")%")
		if err != nil {
			return nil, err
		}
		out = append(out, otelField{name, otelValue{format: f}})
	}
	return out, nil
}

// maxOTelDepth bounds the nesting of values.
const maxOTelDepth = 32

func newOTelValue(p field.Path, v *commonpb.AnyValue, x formatter.Commands) (otelValue, error) {
	return nestedOTelValue(p, v, x, 0)
}

func nestedOTelValue(p field.Path, v *commonpb.AnyValue, x formatter.Commands, depth int) (out otelValue, err error) {
	if depth > maxOTelDepth {
		return out, p.Errorf("values are nested deeper than %d", maxOTelDepth)
	}
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		out.format, err = formatter.CompileWith(p.Dot("string_value"), v.StringValue, formatter.Options{Commands: x})
		return out, err
	case *commonpb.AnyValue_KvlistValue:
		out.fields, err = nestedOTelFields(p.Dot("kvlist_value").Dot("values"), v.KvlistValue.GetValues(), x, depth+1)
		return out, err
	case *commonpb.AnyValue_ArrayValue:
		out.list = []otelValue{}
		for i, e := range v.ArrayValue.GetValues() {
			item, err := nestedOTelValue(p.Dot("array_value").Dot("values").Index(i), e, x, depth+1)
			if err != nil {
				return out, err
			}
			out.list = append(out.list, item)
		}
		return out, nil
	}
	return out, p.Errorf("only string values, nested key value lists and array values are supported")
}

func newOTelFields(p field.Path, list []*commonpb.KeyValue, x formatter.Commands) ([]otelField, error) {
	return nestedOTelFields(p, list, x, 0)
}

func nestedOTelFields(p field.Path, list []*commonpb.KeyValue, x formatter.Commands, depth int) ([]otelField, error) {
	var out []otelField
	for i, kv := range list {
		v, err := nestedOTelValue(p.Index(i).Dot("value"), kv.GetValue(), x, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, otelField{kv.GetKey(), v})
	}
	return out, nil
}
