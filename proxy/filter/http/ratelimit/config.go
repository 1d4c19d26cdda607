package ratelimit

import (
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc/ratelimit"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/manager"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{
		RouteTypeURL: RouteTypeURL, RouteConfig: routeConfig,
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			m, err := protos.UnpackAs[*ratelimitv3.RateLimit](p, config)
			if err != nil {
				return nil, err
			}
			f, err := compile(p, m, ctx)
			if err != nil {
				return nil, err
			}
			f.table = tables
			f.client = func(w int) async.Client { return async.NewClient(tables(w)) }
			return f, nil
		},
	}
}

func compile(p field.Path, m *ratelimitv3.RateLimit, ctx *http.FactoryContext) (*factory, error) {
	if err := field.Only(p, m, "domain", "stage", "request_type", "timeout", "failure_mode_deny", "rate_limited_as_resource_exhausted",
		"rate_limit_service", "enable_x_ratelimit_headers", "disable_x_envoy_ratelimited_header", "rate_limited_status", "response_headers_to_add",
		"status_on_error", "stat_prefix", "filter_enabled", "filter_enforced", "failure_mode_deny_percent", "rate_limits", "metadata_namespace",
		"enable_retry_after_header"); err != nil {
		return nil, err
	}
	f := &factory{
		domain: m.Domain, stage: m.Stage, failureDeny: m.FailureModeDeny, exhausted: m.RateLimitedAsResourceExhausted,
		xHeaders: m.EnableXRatelimitHeaders == ratelimitv3.RateLimit_DRAFT_VERSION_03, noLimitedHeader: m.DisableXEnvoyRatelimitedHeader,
		limitedStatus: 429, errorStatus: 500, retryAfter: m.EnableRetryAfterHeader, namespace: "envoy.filters.http.ratelimit",
		internal: m.RequestType != "external", external: m.RequestType != "internal", runtime: ctx.Runtime, serviceCluster: ctx.ServiceCluster,
		workers: make([]worker, len(ctx.Loops)),
	}
	if c := int(m.GetRateLimitedStatus().GetCode()); c >= 400 {
		f.limitedStatus = c
	}
	if c := int(m.GetStatusOnError().GetCode()); c != 0 {
		f.errorStatus = c
	}
	if m.MetadataNamespace != "" {
		f.namespace = m.MetadataNamespace
	}
	var err error
	if f.service, err = ratelimit.Compile(p.Dot("rate_limit_service"), m.GetRateLimitService(), m.GetTimeout(), ctx.LocalAddress); err != nil {
		return nil, err
	}
	if err := f.compileShares(p, m); err != nil {
		return nil, err
	}
	if f.responseHeaders, err = route.CompileHeaders(p.Dot("response_headers_to_add"), m.ResponseHeadersToAdd, manager.CompileFormat); err != nil {
		return nil, err
	}
	if f.own, err = route.CompileRateLimits(p.Dot("rate_limits"), m.RateLimits, manager.CompileFormat); err != nil {
		return nil, err
	}
	f.groups.store, f.groups.prefix = ctx.Stats, "ratelimit."
	if m.StatPrefix != "" {
		f.groups.prefix += m.StatPrefix + "."
	}
	return f, nil
}

func (f *factory) compileShares(p field.Path, m *ratelimitv3.RateLimit) (err error) {
	all := fraction.Of(1, 1)
	if f.enabled, err = fraction.NewPercent(p.Dot("filter_enabled"), m.FilterEnabled, all, f.runtime); err != nil {
		return err
	}
	if f.enforced, err = fraction.NewPercent(p.Dot("filter_enforced"), m.FilterEnforced, all, f.runtime); err != nil {
		return err
	}
	if m.FailureModeDenyPercent != nil {
		f.denyShare = true
		f.deny, err = fraction.NewPercent(p.Dot("failure_mode_deny_percent"), m.FailureModeDenyPercent, fraction.Of(0, 1), f.runtime)
	}
	return err
}

// routeSettings is a RateLimitPerRoute compiled.
type routeSettings struct {
	hostLimits hostLimits
	own        []route.RateLimit
	domain     string
}

// routeConfig compiles a RateLimitPerRoute.
func routeConfig(p field.Path, config *anypb.Any, _ *http.FactoryContext) (any, error) {
	m, err := protos.UnpackAs[*ratelimitv3.RateLimitPerRoute](p, config)
	if err != nil {
		return nil, err
	}
	// Envoy does nothing with override_option either, but weir says so.
	if err := field.Only(p, m, "vh_rate_limits", "rate_limits", "domain"); err != nil {
		return nil, err
	}
	r := &routeSettings{hostLimits: hostLimits(m.VhRateLimits), domain: m.Domain}
	r.own, err = route.CompileRateLimits(p.Dot("rate_limits"), m.RateLimits, manager.CompileFormat)
	return r, err
}
