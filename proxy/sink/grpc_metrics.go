package sink

import (
	"context"
	"time"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	prom "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

const metricsMethod = "/envoy.service.metrics.v3.MetricsService/StreamMetrics"

// metricsService streams to Envoy's metrics service.
type metricsService struct {
	server   telemetry.GRPC
	first    *metricsv3.StreamMetricsMessage_Identifier
	asDeltas bool
	labels   bool // tags are labels, not parts of the name
	summary  bool
	buckets  bool
	batch    int // families in a message; 0: all

	stream telemetry.Stream
	last   deltas
}

// Flush implements Sink.
func (s *metricsService) Flush(ctx context.Context, snapshot *stats.Snapshot) error {
	now := time.Now().UnixMilli()
	var families []*prom.MetricFamily
	for m := range snapshot.Used() {
		families = append(families, s.families(m, now)...)
	}
	message := &metricsv3.StreamMetricsMessage{}
	if s.stream == nil {
		// The stream outlives this flush.
		stream, err := s.server.Stream(context.WithoutCancel(ctx), metricsMethod)
		if err != nil {
			return err
		}
		s.stream = stream
		message.Identifier = s.first
	}
	size := s.batch
	if size == 0 {
		size = max(len(families), 1)
	}
	for len(families) > 0 {
		n := min(size, len(families))
		message.EnvoyMetrics, families = families[:n], families[n:]
		if err := s.stream.Send(message); err != nil {
			s.Close()
			return err
		}
		message = &metricsv3.StreamMetricsMessage{}
	}
	return nil
}

func (s *metricsService) families(m stats.Sample, now int64) []*prom.MetricFamily {
	name, labels := m.Name, []*prom.LabelPair(nil)
	if s.labels {
		name = m.Tagless
		for _, t := range m.Tags {
			labels = append(labels, &prom.LabelPair{Name: proto.String(t.Name), Value: proto.String(t.Value)})
		}
	}
	family := func(kind prom.MetricType, metric *prom.Metric) *prom.MetricFamily {
		metric.Label, metric.TimestampMs = labels, proto.Int64(now)
		return &prom.MetricFamily{Name: proto.String(name), Type: kind.Enum(), Metric: []*prom.Metric{metric}}
	}
	switch m.Kind {
	case stats.CounterSample:
		value := m.Value
		if s.asDeltas {
			value = s.last.of(m.Name, m.Value)
		}
		return []*prom.MetricFamily{family(prom.MetricType_COUNTER, &prom.Metric{Counter: &prom.Counter{Value: proto.Float64(float64(value))}})}
	case stats.GaugeSample:
		return []*prom.MetricFamily{family(prom.MetricType_GAUGE, &prom.Metric{Gauge: &prom.Gauge{Value: proto.Float64(float64(m.Value))}})}
	}
	var out []*prom.MetricFamily
	if s.summary {
		out = append(out, family(prom.MetricType_SUMMARY, &prom.Metric{Summary: summaryOf(m.Interval)}))
	}
	if s.buckets {
		out = append(out, family(prom.MetricType_HISTOGRAM, &prom.Metric{Histogram: histogramOf(m)}))
	}
	return out
}

// quantiles are Envoy's.
var quantiles = []float64{0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1}

func summaryOf(d stats.Distribution) *prom.Summary {
	out := &prom.Summary{SampleCount: proto.Uint64(d.Count()), SampleSum: proto.Float64(d.Sum())}
	for _, q := range quantiles {
		out.Quantile = append(out.Quantile, &prom.Quantile{Quantile: proto.Float64(q), Value: proto.Float64(d.Quantile(q))})
	}
	return out
}

func histogramOf(m stats.Sample) *prom.Histogram {
	out := &prom.Histogram{SampleCount: proto.Uint64(m.Interval.Count()), SampleSum: proto.Float64(m.Interval.Sum())}
	for _, b := range m.Bounds {
		out.Bucket = append(out.Bucket, &prom.Bucket{UpperBound: proto.Float64(b), CumulativeCount: proto.Uint64(m.Interval.CountBelow(b))})
	}
	return out
}

// Close implements Sink.
func (s *metricsService) Close() {
	if s.stream != nil {
		s.stream.Close()
		s.stream = nil
	}
}
