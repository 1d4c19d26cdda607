package accesslog

import (
	"time"

	alsconfigv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/telemetry"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/xds/protos"
)

// Envoy's defaults for batches of entries.
const (
	defaultBatchInterval = time.Second
	defaultBatchSize     = 16 << 10
)

func newHTTPGRPC(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*alsconfigv3.HttpGrpcAccessLogConfig](p, config)
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "common_config", "additional_request_headers_to_log", "additional_response_headers_to_log", "additional_response_trailers_to_log"); err != nil {
		return nil, err
	}
	l, err := newGRPC(p.Dot("common_config"), m.GetCommonConfig(), o)
	if err != nil {
		return nil, err
	}
	l.request, l.response, l.trailers = lower(m.GetAdditionalRequestHeadersToLog()), lower(m.GetAdditionalResponseHeadersToLog()), lower(m.GetAdditionalResponseTrailersToLog())
	return l, nil
}

func newTCPGRPC(p field.Path, config *anypb.Any, o *Options) (Logger, error) {
	m, err := protos.UnpackAs[*alsconfigv3.TcpGrpcAccessLogConfig](p, config)
	if err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "common_config"); err != nil {
		return nil, err
	}
	l, err := newGRPC(p.Dot("common_config"), m.GetCommonConfig(), o)
	if err != nil {
		return nil, err
	}
	l.tcp = true
	return l, nil
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = matcher.LowerASCII(n)
	}
	return out
}

func newGRPC(p field.Path, m *alsconfigv3.CommonGrpcAccessLogConfig, o *Options) (*grpcLogger, error) {
	if err := field.Only(p, m, "log_name", "grpc_service", "transport_api_version", "buffer_flush_interval", "buffer_size_bytes",
		"filter_state_objects_to_log", "custom_tags"); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(p.Dot("transport_api_version"), m.GetTransportApiVersion()); err != nil {
		return nil, err
	}
	l := &grpcLogger{
		first:      &alsv3.StreamAccessLogsMessage_Identifier{Node: o.Clients.Node(), LogName: m.GetLogName()},
		stateNames: m.GetFilterStateObjectsToLog(),
		written:    o.Stats.Counter("access_logs.grpc_access_log.logs_written"),
		dropped:    o.Stats.Counter("access_logs.grpc_access_log.logs_dropped"),
	}
	var err error
	if l.tags, err = tracing.NewCustomTags(p.Dot("custom_tags"), m.GetCustomTags()); err != nil {
		return nil, err
	}
	if l.server, err = o.Clients.GRPC(p.Dot("grpc_service"), m.GetGrpcService()); err != nil {
		return nil, err
	}
	l.queue = telemetry.NewQueue(o.Loops, batches(m.GetBufferFlushInterval(), m.GetBufferSizeBytes(), l.server, l.dropped.Add), l.send)
	return l, nil
}

// batches is when entries are sent. A size of 0 sends each at once.
func batches(interval *durationpb.Duration, size *wrapperspb.UInt32Value, server telemetry.GRPC, dropped func(uint64)) telemetry.QueueOptions {
	o := telemetry.QueueOptions{Interval: defaultBatchInterval, Size: defaultBatchSize, Server: server, Dropped: func(n int) { dropped(uint64(n)) }}
	if interval != nil {
		o.Interval = interval.AsDuration()
	}
	if size != nil {
		if o.Size = int(size.GetValue()); o.Size == 0 {
			o.Interval = 0
		}
	}
	return o
}
