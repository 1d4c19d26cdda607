package accesslog

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/tracing"
)

const exportLogs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// otelLogger sends records to an OpenTelemetry collector.
type otelLogger struct {
	queue      *telemetry.Queue[*logspb.LogRecord]
	resource   *resourcepb.Resource
	body       *otelValue // nil: none
	attributes []otelField
	state      []otelField // which are left out when they are empty
	tags       tracing.CustomTags
	grpc       telemetry.GRPC // or
	http       telemetry.HTTP
	request    telemetry.Request
	timeout    time.Duration
	written    *stats.SharedCounter
	dropped    *stats.SharedCounter
}

// otelValue is a value whose strings are formats. One of its fields is set.
type otelValue struct {
	format *formatter.Formatter
	fields []otelField
	list   []otelValue
}

type otelField struct {
	key   string
	value otelValue
}

func (l *otelLogger) Log(worker int, c *formatter.Context) {
	r := &logspb.LogRecord{TimeUnixNano: uint64(c.Info.Start.UnixNano()), Attributes: evalFields(l.attributes, c)}
	if l.body != nil {
		r.Body = l.body.eval(c)
	}
	l.tags.Each(c, func(name, value string) {
		r.Attributes = append(r.Attributes, telemetry.Attribute(name, strings.Clone(value)))
	})
	for i := range l.state {
		if text := string(l.state[i].value.format.Append(nil, c)); text != "" {
			r.Attributes = append(r.Attributes, telemetry.Attribute(l.state[i].key, text))
		}
	}
	if id, err := hex.DecodeString(c.Info.TraceID); err == nil && len(id) == 16 {
		r.TraceId = id
		r.SpanId, _ = hex.DecodeString(c.Info.SpanID)
	}
	l.queue.Add(worker, r, proto.Size(r))
}

// Close sends what is left, soon.
func (l *otelLogger) Close() { l.queue.Close() }

func (v *otelValue) eval(c *formatter.Context) *commonpb.AnyValue {
	switch {
	case v.format != nil:
		return telemetry.String(string(v.format.Append(nil, c)))
	case v.list != nil:
		out := &commonpb.ArrayValue{}
		for i := range v.list {
			out.Values = append(out.Values, v.list[i].eval(c))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: out}}
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: evalFields(v.fields, c)}}}
}

func evalFields(list []otelField, c *formatter.Context) []*commonpb.KeyValue {
	var out []*commonpb.KeyValue
	for i := range list {
		out = append(out, &commonpb.KeyValue{Key: list[i].key, Value: list[i].value.eval(c)})
	}
	return out
}

func (l *otelLogger) send(ctx context.Context, records []*logspb.LogRecord) {
	request := &collectorpb.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: l.resource, ScopeLogs: []*logspb.ScopeLogs{{LogRecords: records}}}}}
	if l.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	if l.export(ctx, request) {
		l.written.Add(uint64(len(records)))
	} else {
		l.dropped.Add(uint64(len(records)))
	}
}

func (l *otelLogger) export(ctx context.Context, request *collectorpb.ExportLogsServiceRequest) bool {
	if l.grpc != nil {
		return l.grpc.Call(ctx, exportLogs, request, &collectorpb.ExportLogsServiceResponse{}) == nil
	}
	return telemetry.Post(ctx, l.http, l.request, request) == nil
}
