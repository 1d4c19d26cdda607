package tracing

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	"google.golang.org/protobuf/proto"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/xds/protos"
)

// defaultSegments is max_cache_size's.
const defaultSegments = 1024

func (s *Providers) newSkyWalking(p field.Path, http *tracev3.Tracing_Http) (*Tracer, error) {
	m, err := protos.UnpackAs[*tracev3.SkyWalkingConfig](p, http.GetTypedConfig())
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "grpc_service", "client_config"); err != nil {
		return nil, err
	}
	c, cp := m.GetClientConfig(), p.Dot("client_config")
	if err := field.Only(cp, c, "service_name", "instance_name", "backend_token", "max_cache_size"); err != nil {
		return nil, err
	}
	service := proto.CloneOf(m.GetGrpcService())
	if token := c.GetBackendToken(); token != "" {
		service.InitialMetadata = append(service.InitialMetadata, &corev3.HeaderValue{Key: "authentication", Value: token})
	}
	node := s.Clients.Node()
	e := &skyExporter{skyWalking: skyWalking{
		service:  first(c.GetServiceName(), node.GetCluster(), "EnvoyProxy"),
		instance: first(c.GetInstanceName(), node.GetId(), "EnvoyProxy"),
	}}
	if e.server, err = s.Clients.GRPC(p.Dot("grpc_service"), service); err != nil {
		return nil, err
	}
	const prefix = "tracing.skywalking."
	e.sent, e.dropped = s.Stats.Counter(prefix+"segments_sent"), s.Stats.Counter(prefix+"segments_dropped")
	s.Stats.Counter(prefix + "segments_flushed")
	s.Stats.Counter(prefix + "cache_flushed")
	most := defaultSegments
	if n := c.GetMaxCacheSize(); n != nil {
		most = int(n.GetValue())
	}
	e.queue = telemetry.NewQueue(s.Loops, telemetry.QueueOptions{Size: 1, Pending: max(most, 1), Server: e.server, Dropped: func(n int) { e.dropped.Add(uint64(n)) }}, e.send)
	return &Tracer{format: e.skyWalking, exporter: e, begin: beginSkyWalking, byPath: true}, nil
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
