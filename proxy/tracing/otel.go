package tracing

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/weirproxy/weir/internal/buildinfo"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// beginOTel continues a parent's trace, or begins one. Without a sampler a
// span is sampled when the connection manager traces the request and its
// parent, if there is one, was sampled.
func beginOTel(t *Tracer, parent *Context, traced bool) Context {
	c := Context{TraceHigh: newID(), TraceLow: newID(), ID: newID(), Sampled: traced}
	if parent != nil {
		c.TraceHigh, c.TraceLow, c.Parent, c.State = parent.TraceHigh, parent.TraceLow, parent.ID, parent.State
		c.Sampled = traced && parent.Sampled
	}
	if t.sampler != nil {
		c.Sampled = traced && t.sampler.sample(parent, c.TraceHigh)
	}
	return c
}

// alwaysOn samples everything.
type alwaysOn struct{}

func (alwaysOn) sample(*Context, uint64) bool { return true }

// ratio samples by the trace's id, so that all who take part decide alike.
type ratio struct{ numerator, denominator uint64 }

func (r ratio) sample(_ *Context, traceHigh uint64) bool {
	// The id's first 8 bytes, as a number in Envoy's byte order.
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], traceHigh)
	return binary.LittleEndian.Uint64(b[:])%r.denominator < r.numerator
}

// parentBased does what the parent did, and asks root for the first of a trace.
type parentBased struct{ root sampler }

func (p parentBased) sample(parent *Context, traceHigh uint64) bool {
	if parent == nil {
		return p.root.sample(nil, traceHigh)
	}
	return parent.Sampled
}

// otelExporter sends spans to an OpenTelemetry collector.
type otelExporter struct {
	queue    *telemetry.Queue[*Span]
	resource *resourcepb.Resource
	scope    *commonpb.InstrumentationScope
	grpc     telemetry.GRPC // or
	http     telemetry.HTTP
	request  telemetry.Request
	timeout  time.Duration
	sent     *stats.SharedCounter
}

const exportTraces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

func otelScope() *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: "weir", Version: buildinfo.Version()}
}

func (e *otelExporter) add(s *Span) { e.queue.Add(s.worker, s, 1) }
func (e *otelExporter) close()      { e.queue.Close() }

func (e *otelExporter) send(ctx context.Context, spans []*Span) {
	scoped := &tracepb.ScopeSpans{Scope: e.scope}
	for _, s := range spans {
		scoped.Spans = append(scoped.Spans, otelSpan(s))
	}
	request := &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{Resource: e.resource, ScopeSpans: []*tracepb.ScopeSpans{scoped}}}}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var err error
	if e.grpc != nil {
		err = e.grpc.Call(ctx, exportTraces, request, &collectorpb.ExportTraceServiceResponse{})
	} else {
		err = telemetry.Post(ctx, e.http, e.request, request)
	}
	if err == nil {
		e.sent.Add(uint64(len(spans)))
	}
}

func otelSpan(s *Span) *tracepb.Span {
	out := &tracepb.Span{
		TraceId: s.traceID(), SpanId: id(s.ID), TraceState: s.State, Name: s.Name,
		Kind: tracepb.Span_SPAN_KIND_SERVER, StartTimeUnixNano: uint64(s.Start.UnixNano()), EndTimeUnixNano: uint64(s.End.UnixNano()),
		Flags: uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | 1, // sampled
	}
	if s.Kind == Client {
		out.Kind = tracepb.Span_SPAN_KIND_CLIENT
	}
	if s.Parent != 0 {
		out.ParentSpanId = id(s.Parent)
	}
	if s.remote {
		out.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	for _, t := range s.Tags {
		if t.Key == tagMethod && !slices.Contains(knownMethods, t.Value) {
			t.Value = "_OTHER"
		}
		// Attributes are unique: the last value stands.
		if i := slices.IndexFunc(out.Attributes, func(a *commonpb.KeyValue) bool { return a.Key == t.Key }); i >= 0 {
			out.Attributes[i] = telemetry.Attribute(t.Key, t.Value)
		} else {
			out.Attributes = append(out.Attributes, telemetry.Attribute(t.Key, t.Value))
		}
		if failed(s.Kind, t) {
			out.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
		}
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, &tracepb.Span_Event{Name: e.Name, TimeUnixNano: uint64(e.At.UnixNano())})
	}
	return out
}

// knownMethods are those of OpenTelemetry's semantic conventions for HTTP; all
// others are _OTHER.
var knownMethods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

// failed tells whether a tag makes its span one with an error: OpenTelemetry's
// semantic conventions for HTTP and gRPC spans.
func failed(kind Kind, t Tag) bool {
	code, err := strconv.Atoi(t.Value)
	switch {
	case err != nil:
		return false
	case t.Key == tagStatusCode:
		return code >= 500 || code >= 400 && kind == Client
	case t.Key == tagGRPCStatus:
		return grpcFailed(code) || code != 0 && kind == Client
	}
	return false
}

func (s *Span) traceID() []byte {
	b := make([]byte, 0, 16)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, s.TraceHigh), s.TraceLow)
}

func id(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
