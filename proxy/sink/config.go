package sink

import (
	"context"
	"net"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	graphitev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/graphite_statsd/v3"
	otelv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	servicev3 "github.com/envoyproxy/go-control-plane/envoy/service/metrics/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/xds/protos"
)

// Options are what sinks need of the server.
type Options struct {
	Clients telemetry.Clients
	// DialCluster connects to a host of a cluster, for statsd over TCP.
	DialCluster func(ctx context.Context, cluster string) (net.Conn, error)
}

// Types are the configurations that New takes, by message.
var Types = map[string]func(field.Path, *metricsv3.StatsSink, Options) (Sink, error){
	"envoy.config.metrics.v3.StatsdSink":                                newStatsd,
	"envoy.config.metrics.v3.DogStatsdSink":                             newDogStatsd,
	"envoy.config.metrics.v3.MetricsServiceConfig":                      newMetricsService,
	"envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink": newGraphite,
	"envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig":          newOTLP,
}

// New makes one of a bootstrap's stats_sinks.
func New(p field.Path, m *metricsv3.StatsSink, o Options) (Sink, error) {
	p = p.Dot("typed_config")
	make := Types[protos.TypeName(m.GetTypedConfig())]
	if make == nil {
		return nil, p.Errorf("weir has no stats sink %q (%s)", m.GetName(), m.GetTypedConfig().GetTypeUrl())
	}
	return make(p, m, o)
}

// prefixOf is a configured prefix, or Envoy's, with its dot.
func prefixOf(s string) string {
	if s == "" {
		s = "envoy"
	}
	return s + "."
}

func newStatsd(p field.Path, sink *metricsv3.StatsSink, o Options) (Sink, error) {
	m, err := protos.UnpackAs[*metricsv3.StatsdSink](p, sink.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "address", "tcp_cluster_name", "prefix"); err != nil {
		return nil, err
	}
	s := &statsd{prefix: prefixOf(m.GetPrefix()), last: deltas{}}
	if cluster := m.GetTcpClusterName(); cluster != "" {
		if n := o.Clients.Node(); n.GetId() == "" || n.GetCluster() == "" {
			return nil, p.Dot("tcp_cluster_name").Errorf("tcp statsd: node 'id' and 'cluster' are required")
		}
		s.network, s.packet = "tcp", streamPacket
		s.dial = func(ctx context.Context) (net.Conn, error) { return o.DialCluster(ctx, cluster) }
		return s, nil
	}
	return s, s.setAddress(p.Dot("address"), m.GetAddress())
}

func newDogStatsd(p field.Path, sink *metricsv3.StatsSink, _ Options) (Sink, error) {
	m, err := protos.UnpackAs[*metricsv3.DogStatsdSink](p, sink.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "address", "prefix", "max_bytes_per_datagram"); err != nil {
		return nil, err
	}
	s := &statsd{prefix: prefixOf(m.GetPrefix()), tags: dogTags, last: deltas{}, packet: datagram(m.GetMaxBytesPerDatagram())}
	return s, s.setAddress(p.Dot("address"), m.GetAddress())
}

func newGraphite(p field.Path, sink *metricsv3.StatsSink, _ Options) (Sink, error) {
	m, err := protos.UnpackAs[*graphitev3.GraphiteStatsdSink](p, sink.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "address", "prefix", "max_bytes_per_datagram"); err != nil {
		return nil, err
	}
	s := &statsd{prefix: prefixOf(m.GetPrefix()), tags: graphiteTags, last: deltas{}, packet: datagram(m.GetMaxBytesPerDatagram())}
	return s, s.setAddress(p.Dot("address"), m.GetAddress())
}

// datagram is how many bytes one may have; 0: one statistic each.
func datagram(configured *wrapperspb.UInt64Value) int { return int(min(configured.GetValue(), 65507)) }

// setAddress has datagrams sent to an IP address or a Unix socket.
func (s *statsd) setAddress(p field.Path, a *corev3.Address) error {
	s.dial = func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, s.network, s.address)
	}
	if pipe := a.GetPipe(); pipe != nil {
		s.network, s.address = "unixgram", pipe.GetPath()
		return field.Only(p.Dot("pipe"), pipe, "path")
	}
	socket := a.GetSocketAddress()
	if socket == nil {
		return p.Errorf("weir sends to a socket_address or a pipe only")
	}
	if err := field.Only(p.Dot("socket_address"), socket, "protocol", "address", "port_value"); err != nil {
		return err
	}
	if net.ParseIP(socket.GetAddress()) == nil {
		return p.Dot("socket_address").Dot("address").Errorf("%q is not an IP address", socket.GetAddress())
	}
	s.network, s.address = "udp", net.JoinHostPort(socket.GetAddress(), strconv.Itoa(int(socket.GetPortValue())))
	return nil
}

func newMetricsService(p field.Path, sink *metricsv3.StatsSink, o Options) (Sink, error) {
	m, err := protos.UnpackAs[*metricsv3.MetricsServiceConfig](p, sink.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "grpc_service", "transport_api_version", "report_counters_as_deltas", "emit_tags_as_labels", "histogram_emit_mode", "batch_size"); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(p.Dot("transport_api_version"), m.GetTransportApiVersion()); err != nil {
		return nil, err
	}
	s := &metricsService{
		first:    &servicev3.StreamMetricsMessage_Identifier{Node: o.Clients.Node()},
		asDeltas: m.GetReportCountersAsDeltas().GetValue(), labels: m.GetEmitTagsAsLabels(), batch: int(m.GetBatchSize()), last: deltas{},
		summary: m.GetHistogramEmitMode() != metricsv3.HistogramEmitMode_HISTOGRAM,
		buckets: m.GetHistogramEmitMode() != metricsv3.HistogramEmitMode_SUMMARY,
	}
	s.server, err = o.Clients.GRPC(p.Dot("grpc_service"), m.GetGrpcService())
	return s, err
}

func newOTLP(p field.Path, sink *metricsv3.StatsSink, o Options) (Sink, error) {
	m, err := protos.UnpackAs[*otelv3.SinkConfig](p, sink.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "grpc_service", "http_service", "report_counters_as_deltas", "report_histograms_as_deltas", "emit_tags_as_attributes",
		"use_tag_extracted_name", "prefix", "resource_detectors", "max_data_points_per_request"); err != nil {
		return nil, err
	}
	s := &otlp{
		counterDeltas: m.GetReportCountersAsDeltas(), histogramDelta: m.GetReportHistogramsAsDeltas(),
		attributes: m.GetEmitTagsAsAttributes() == nil || m.GetEmitTagsAsAttributes().GetValue(),
		tagless:    m.GetUseTagExtractedName() == nil || m.GetUseTagExtractedName().GetValue(),
		points:     int(m.GetMaxDataPointsPerRequest()), last: deltas{}, start: time.Now(), flushed: time.Now(),
	}
	if m.GetPrefix() != "" {
		s.prefix = m.GetPrefix() + "."
	}
	if s.resource, err = telemetry.Resource(p.Dot("resource_detectors"), m.GetResourceDetectors()); err != nil {
		return nil, err
	}
	if h := m.GetHttpService(); h != nil {
		s.http, s.request, s.timeout, err = telemetry.HTTPService(p.Dot("http_service"), h, o.Clients)
		return s, err
	}
	s.server, err = o.Clients.GRPC(p.Dot("grpc_service"), m.GetGrpcService())
	return s, err
}
