package router

import (
	"math/rand/v2"
	"strings"

	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/accesslog"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the configuration's type.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

// Config is a Router filter compiled: the factory of filters.
type Config struct {
	suppressEnvoyHeaders   bool
	respectExpectedTimeout bool // x-envoy-expected-rq-timeout-ms is an egress proxy's
	noDynamicStats         bool
	grpcCodesUnnamed       bool            // gRPC responses count without their HTTP status
	rejectEarlyData        bool            // CONNECT requests must not send before they are answered
	localAddress           string          // the proxy's own, for x-forwarded-for of mirrors
	strict                 []http.HeaderID // headers whose values must be sound
	workers                []worker
	tables                 func(worker int) *upstream.Table
	group                  *stats.Group[Stats]
	sheds                  func() bool // may be nil
	runtime                cluster.Runtime
	childSpans             bool     // tries have spans, whatever the manager's tracing says
	filters                *Filters // of each try, unless the cluster has its own; nil: none
	upstreamLog
}

type worker struct {
	rand *rand.Rand
	loop *network.Loop
}

// Maker makes router factories. tables gives each worker's cluster table, logs
// what upstream_log needs, upstreams finds the filters of upstream_http_filters.
func Maker(tables func(worker int) *upstream.Table, logs func() accesslog.Options, upstreams http.FilterLookup) http.FilterMaker {
	return http.FilterMaker{Terminal: true, New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
		var m routerv3.Router
		if err := protos.Unpack(p, config, &m); err != nil {
			return nil, err
		}
		if err := field.Only(p, &m, "dynamic_stats", "start_child_span", "suppress_envoy_headers", "respect_expected_rq_timeout", "strict_check_headers", "upstream_http_filters",
			"upstream_log", "upstream_log_options", "suppress_grpc_request_failure_code_stats", "reject_connect_request_early_data"); err != nil {
			return nil, err
		}
		c := &Config{
			//lint:ignore SA1019 deprecated, but Envoy obeys it
			childSpans:           m.StartChildSpan,
			suppressEnvoyHeaders: m.SuppressEnvoyHeaders, respectExpectedTimeout: m.RespectExpectedRqTimeout,
			runtime: cluster.Runtime{Integer: ctx.Runtime}, sheds: ctx.Sheds, noDynamicStats: m.DynamicStats != nil && !m.DynamicStats.Value, tables: tables,
			grpcCodesUnnamed: m.SuppressGrpcRequestFailureCodeStats, rejectEarlyData: m.GetRejectConnectRequestEarlyData().GetValue(),
		}
		if ctx.LocalAddress.IsValid() {
			c.localAddress = ctx.LocalAddress.String()
		}
		if err := c.upstreamLog.compile(p, &m, logs()); err != nil {
			return nil, err
		}
		own := *ctx
		own.StatPrefix = strings.TrimSuffix(ctx.StatPrefix, ".") // Envoy forgets the dot
		var err error
		if c.filters, err = CompileFilters(p.Dot("upstream_http_filters"), m.UpstreamHttpFilters, upstreams, &own); err != nil {
			return nil, err
		}
		for _, name := range m.StrictCheckHeaders {
			c.strict = append(c.strict, http.LookupID(strings.ToLower(name)))
		}
		c.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix})
		for _, l := range ctx.Loops {
			c.workers = append(c.workers, worker{rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), loop: l})
		}
		return c, nil
	}}
}

// Close ends the router's statistics and logs.
func (c *Config) Close() {
	c.group.Close()
	accesslog.Close(c.logs)
	c.filters.Close()
}

// New implements http.FilterFactory.
func (c *Config) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	f := &filter{cb: cb.(http.RouterCallbacks), cfg: c, stats: c.group.For(w), table: c.tables(w)}
	loop := cb.Loop()
	f.body.Init(&loop.Pool)
	loop.InitTimer(&f.response, f.onResponseTimeout)
	loop.InitTimer(&f.backoff, f.retryNow)
	f.first.init(f)
	f.tries = append(f.tries, &f.first)
	return f
}

func (c *Config) rand(w int) *rand.Rand { return c.workers[w].rand }
