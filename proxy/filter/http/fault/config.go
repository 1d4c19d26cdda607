package fault

import (
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config, ctx)
			if err != nil {
				return nil, err
			}
			prefix := ctx.StatPrefix + "fault."
			f := &factory{settings: s, store: ctx.Stats, prefix: prefix, group: stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: prefix})}
			f.clusters, f.loops = make([]clusterTable, len(ctx.Loops)), ctx.Loops
			return f, nil
		},
		RouteConfig: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
			return compile(p, config, ctx)
		},
	}
}

func compile(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*settings, error) {
	m := &faultv3.HTTPFault{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "delay", "abort", "upstream_cluster", "headers", "downstream_nodes", "max_active_faults", "response_rate_limit",
		"delay_percent_runtime", "abort_percent_runtime", "delay_duration_runtime", "abort_http_status_runtime", "max_active_faults_runtime",
		"response_rate_limit_percent_runtime", "abort_grpc_status_runtime", "disable_downstream_cluster_stats", "filter_metadata"); err != nil {
		return nil, err
	}
	s := &settings{
		cluster: m.GetUpstreamCluster(), nodes: m.GetDownstreamNodes(), runtime: ctx.Runtime, noClusterStats: m.GetDisableDownstreamClusterStats(),
		metadata: m.GetFilterMetadata().AsMap(),
		keys: keys{
			delay:      or(m.GetDelayPercentRuntime(), "fault.http.delay.fixed_delay_percent"),
			duration:   or(m.GetDelayDurationRuntime(), "fault.http.delay.fixed_duration_ms"),
			abort:      or(m.GetAbortPercentRuntime(), "fault.http.abort.abort_percent"),
			httpStatus: or(m.GetAbortHttpStatusRuntime(), "fault.http.abort.http_status"),
			grpcStatus: or(m.GetAbortGrpcStatusRuntime(), "fault.http.abort.grpc_status"),
			active:     or(m.GetMaxActiveFaultsRuntime(), "fault.http.max_active_faults"),
			rate:       or(m.GetResponseRateLimitPercentRuntime(), "fault.http.rate_limit.response_percent"),
		},
		maxActive: unlimited,
	}
	if n := m.GetMaxActiveFaults(); n != nil {
		s.maxActive = uint64(n.GetValue())
	}
	var err error
	if s.headers, err = matcher.NewHeaders(p.Dot("headers"), m.GetHeaders(), matcher.NewRegexes()); err != nil {
		return nil, err
	}
	s.setDelay(m.GetDelay())
	s.setAbort(m.GetAbort())
	s.setRate(m.GetResponseRateLimit())
	return s, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (s *settings) setDelay(m *commonv3.FaultDelay) {
	if m == nil {
		return
	}
	s.delay = &delay{share: fraction.Fixed(m.GetPercentage()), fixed: m.GetFixedDelay().AsDuration(), byHeader: m.GetHeaderDelay() != nil}
}

func (s *settings) setAbort(m *faultv3.FaultAbort) {
	if m == nil {
		return
	}
	s.abort = &abort{share: fraction.Fixed(m.GetPercentage()), body: or(m.GetResponseBody(), "fault filter abort"), grpc: http.NoGrpcStatus}
	switch k := m.GetErrorType().(type) {
	case *faultv3.FaultAbort_HttpStatus:
		s.abort.http = int(k.HttpStatus)
	case *faultv3.FaultAbort_GrpcStatus:
		s.abort.grpc = int(k.GrpcStatus)
	case *faultv3.FaultAbort_HeaderAbort_:
		s.abort.byHeader = true
	}
}

func (s *settings) setRate(m *commonv3.FaultRateLimit) {
	if m == nil {
		return
	}
	s.rate = &rate{share: fraction.Fixed(m.GetPercentage()), kbps: m.GetFixedLimit().GetLimitKbps(), byHeader: m.GetHeaderLimit() != nil}
}
