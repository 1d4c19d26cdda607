package sink

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// clients are telemetry.Clients that keep what they are given.
type clients struct{ sent []proto.Message }

func (c *clients) GRPC(field.Path, *corev3.GrpcService) (telemetry.GRPC, error) { return c, nil }
func (c *clients) HTTP(string) telemetry.HTTP                                   { return nil }
func (c *clients) Node() *corev3.Node                                           { return &corev3.Node{Id: "n"} }
func (c *clients) Send(m proto.Message) error                                   { c.sent = append(c.sent, proto.Clone(m)); return nil }
func (c *clients) Close()                                                       {}
func (c *clients) Stream(context.Context, string) (telemetry.Stream, error)     { return c, nil }
func (c *clients) Call(_ context.Context, _ string, request, _ proto.Message) error {
	return c.Send(request)
}

func newSink(t *testing.T, config string, o Options) Sink {
	t.Helper()
	m := &metricsv3.StatsSink{}
	if err := protojson.Unmarshal([]byte(config), m); err != nil {
		t.Fatal(err)
	}
	s, err := New("stats_sinks[0]", m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func flush(t *testing.T, s Sink, store *stats.Store) {
	t.Helper()
	snapshot, err := store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
}

func counters(t *testing.T) *stats.Store {
	store := stats.NewStore()
	store.Counter("cluster.u1.upstream_rq_total").Add(3)
	store.Counter("unused")
	store.Gauge("server.live").Set(1)
	return store
}

func TestStatsd(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, port, _ := net.SplitHostPort(l.LocalAddr().String())
	read := func(n int) (lines []string) {
		t.Helper()
		b := make([]byte, 65536)
		for len(lines) < n {
			k, _, err := l.ReadFrom(b)
			if err != nil {
				t.Fatalf("%v after %q", err, lines)
			}
			lines = append(lines, strings.Split(string(b[:k]), "\n")...)
		}
		slices.Sort(lines)
		return lines
	}
	address := `"address": {"socket_address": {"address": "127.0.0.1", "port_value": ` + port + `}}`
	store := counters(t)
	s := newSink(t, `{"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink", "prefix": "p", `+address+`}}`, Options{})
	flush(t, s, store)
	if got := read(2); !slices.Equal(got, []string{"p.cluster.u1.upstream_rq_total:3|c", "p.server.live:1|g"}) {
		t.Errorf("%q", got)
	}
	store.Counter("cluster.u1.upstream_rq_total").Add(2)
	flush(t, s, store)
	if got := read(2); got[0] != "p.cluster.u1.upstream_rq_total:2|c" {
		t.Errorf("a counter is sent as what it grew by: %q", got)
	}
	dog := newSink(t, `{"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.config.metrics.v3.DogStatsdSink", "max_bytes_per_datagram": 500, `+address+`}}`, Options{})
	flush(t, dog, store)
	if got := read(2); !slices.Equal(got, []string{"envoy.cluster.upstream_rq_total:5|c|#envoy.cluster_name:u1", "envoy.server.live:1|g"}) {
		t.Errorf("%q", got)
	}
	graphite := newSink(t, `{"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink", `+address+`}}`, Options{})
	flush(t, graphite, store)
	if got := read(2); !slices.Equal(got, []string{"envoy.cluster.upstream_rq_total;envoy.cluster_name=u1:5|c", "envoy.server.live:1|g"}) {
		t.Errorf("%q", got)
	}
}

func TestMetricsService(t *testing.T) {
	c := &clients{}
	store := counters(t)
	s := newSink(t, `{"name": "m", "typed_config": {"@type": "type.googleapis.com/envoy.config.metrics.v3.MetricsServiceConfig", "transport_api_version": "V3", "report_counters_as_deltas": true,
		"emit_tags_as_labels": true, "batch_size": 1, "grpc_service": {"envoy_grpc": {"cluster_name": "c"}}}}`, Options{Clients: c})
	flush(t, s, store)
	flush(t, s, store)
	if len(c.sent) != 4 {
		t.Fatalf("%d messages", len(c.sent))
	}
	first, third := c.sent[0].(*servicev3.StreamMetricsMessage), c.sent[2].(*servicev3.StreamMetricsMessage)
	if first.Identifier.GetNode().GetId() != "n" || third.Identifier != nil {
		t.Error("the first message of a stream, and only that, says who we are")
	}
	f := first.EnvoyMetrics[0]
	if f.GetName() != "cluster.upstream_rq_total" || f.Metric[0].GetCounter().GetValue() != 3 || f.Metric[0].Label[0].GetValue() != "u1" {
		t.Errorf("%v", f)
	}
	if v := third.EnvoyMetrics[0].Metric[0].GetCounter().GetValue(); v != 0 {
		t.Errorf("grown by %v", v)
	}
}

func TestOpenTelemetry(t *testing.T) {
	c := &clients{}
	store := counters(t)
	store.Counter("cluster.u2.upstream_rq_total").Add(1)
	s := newSink(t, `{"name": "o", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig", "prefix": "pre",
		"grpc_service": {"envoy_grpc": {"cluster_name": "c"}}}}`, Options{Clients: c})
	flush(t, s, store)
	metrics := c.sent[0].(*collectorpb.ExportMetricsServiceRequest).ResourceMetrics[0].ScopeMetrics[0].Metrics
	if len(metrics) != 2 || metrics[0].Name != "pre.cluster.upstream_rq_total" {
		t.Fatalf("%v", metrics)
	}
	points := metrics[0].GetSum().DataPoints
	if len(points) != 2 || points[0].GetAsInt() != 3 || points[0].Attributes[0].Value.GetStringValue() != "u1" || points[1].GetAsInt() != 1 {
		t.Errorf("%v", points)
	}
}

func TestRefuses(t *testing.T) {
	for config, want := range map[string]string{
		`{"name": "h", "typed_config": {"@type": "type.googleapis.com/envoy.config.metrics.v3.HystrixSink"}}`:                                                                      `stats_sinks[0].typed_config: weir has no stats sink "h"`,
		`{"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink", "address": {"envoy_internal_address": {"server_listener_name": "x"}}}}`: "typed_config.address: weir sends to a socket_address or a pipe only",
	} {
		m := &metricsv3.StatsSink{}
		if err := protojson.Unmarshal([]byte(config), m); err != nil {
			t.Fatal(err)
		}
		if _, err := New("stats_sinks[0]", m, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}
