package tracing

import (
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/xds/protos"
)

func (s *Providers) newDatadog(p field.Path, http *tracev3.Tracing_Http) (*Tracer, error) {
	m, err := protos.UnpackAs[*tracev3.DatadogConfig](p, http.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "collector_cluster", "service_name", "collector_hostname"); err != nil {
		return nil, err
	}
	e := &datadogExporter{http: s.Clients.HTTP(m.GetCollectorCluster()), host: m.GetCollectorHostname(), service: m.GetServiceName()}
	if e.host == "" {
		e.host = m.GetCollectorCluster()
	}
	q := s.queue("datadog", s.Stats.Counter("tracing.datadog.timer_flushed"))
	e.queue = telemetry.NewQueue(s.Loops, q, e.send)
	return &Tracer{format: datadog{}, exporter: e, begin: beginDatadog}, nil
}
