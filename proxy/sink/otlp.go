package sink

import (
	"context"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

const exportMetrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"

// otlp sends to an OpenTelemetry collector.
type otlp struct {
	server         telemetry.GRPC // or
	http           telemetry.HTTP
	request        telemetry.Request // what requests to that have in common,
	timeout        time.Duration     // and how long one may take; 0: any time
	resource       *resourcepb.Resource
	prefix         string // "" or with a dot at its end
	attributes     bool   // tags are attributes
	tagless        bool   // names lack the tags
	counterDeltas  bool
	histogramDelta bool
	points         int // in a request; 0: all

	last    deltas
	start   time.Time // of the process's counting
	flushed time.Time
}

// export sends a request, over gRPC or as HTTP's body.
func (s *otlp) export(ctx context.Context, request *collectorpb.ExportMetricsServiceRequest) error {
	if s.server != nil {
		return s.server.Call(ctx, exportMetrics, request, &collectorpb.ExportMetricsServiceResponse{})
	}
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
		defer cancel()
	}
	return telemetry.Post(ctx, s.http, s.request, request)
}

// Flush implements Sink.
func (s *otlp) Flush(ctx context.Context, snapshot *stats.Snapshot) error {
	now := time.Now()
	byName := map[string]*metricspb.Metric{}
	var metrics []*metricspb.Metric
	n := 0
	send := func() error {
		if len(metrics) == 0 {
			return nil
		}
		request := &collectorpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
			Resource: s.resource, ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: metrics}}}}}
		metrics, n = nil, 0
		clear(byName)
		return s.export(ctx, request)
	}
	for m := range snapshot.Used() {
		name := m.Name
		if s.tagless {
			name = m.Tagless
		}
		// One metric for all statistics that differ in their tags only.
		metric := byName[name]
		if metric == nil {
			metric = &metricspb.Metric{Name: s.prefix + name}
			byName[name] = metric
			metrics = append(metrics, metric)
		}
		s.addPoint(metric, m, uint64(now.UnixNano()))
		if n++; s.points > 0 && n >= s.points {
			if err := send(); err != nil {
				return err
			}
		}
	}
	s.flushed = now
	return send()
}

func (s *otlp) addPoint(to *metricspb.Metric, m stats.Sample, now uint64) {
	var attributes []*commonpb.KeyValue
	if s.attributes {
		for _, t := range m.Tags {
			attributes = append(attributes, &commonpb.KeyValue{Key: t.Name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: t.Value}}})
		}
	}
	begin := uint64(s.start.UnixNano())
	if m.Kind == stats.GaugeSample {
		g := to.GetGauge()
		if g == nil {
			g = &metricspb.Gauge{}
			to.Data = &metricspb.Metric_Gauge{Gauge: g}
		}
		g.DataPoints = append(g.DataPoints, &metricspb.NumberDataPoint{Attributes: attributes, TimeUnixNano: now, Value: &metricspb.NumberDataPoint_AsInt{AsInt: m.Value}})
		return
	}
	if m.Kind == stats.CounterSample {
		sum := to.GetSum()
		if sum == nil {
			sum = &metricspb.Sum{IsMonotonic: true, AggregationTemporality: temporality(s.counterDeltas)}
			to.Data = &metricspb.Metric_Sum{Sum: sum}
		}
		value := m.Value
		if s.counterDeltas {
			value, begin = s.last.of(m.Name, m.Value), uint64(s.flushed.UnixNano())
		}
		sum.DataPoints = append(sum.DataPoints, &metricspb.NumberDataPoint{Attributes: attributes, StartTimeUnixNano: begin, TimeUnixNano: now, Value: &metricspb.NumberDataPoint_AsInt{AsInt: value}})
		return
	}
	h := to.GetHistogram()
	if h == nil {
		h = &metricspb.Histogram{AggregationTemporality: temporality(s.histogramDelta)}
		to.Data = &metricspb.Metric_Histogram{Histogram: h}
	}
	d := m.Total
	if s.histogramDelta {
		d, begin = m.Interval, uint64(s.flushed.UnixNano())
	}
	point := &metricspb.HistogramDataPoint{Attributes: attributes, StartTimeUnixNano: begin, TimeUnixNano: now, Count: d.Count(), ExplicitBounds: m.Bounds}
	sum, below := d.Sum(), uint64(0)
	point.Sum = &sum
	for _, b := range m.Bounds {
		upTo := d.CountBelow(b)
		point.BucketCounts = append(point.BucketCounts, upTo-below)
		below = upTo
	}
	point.BucketCounts = append(point.BucketCounts, d.Count()-below)
	h.DataPoints = append(h.DataPoints, point)
}

func temporality(delta bool) metricspb.AggregationTemporality {
	if delta {
		return metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	}
	return metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
}

// Close implements Sink.
func (s *otlp) Close() {}
