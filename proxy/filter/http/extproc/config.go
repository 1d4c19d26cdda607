package extproc

import (
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/cel"
	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{Upstream: true, RouteConfig: http.RouteFrom(routeConfig), RouteTypeURL: RouteTypeURL, New: http.NewFrom(func(p field.Path, m *extprocv3.ExternalProcessor, ctx *http.FactoryContext) (*factory, error) {
		f, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		f.client = async.Clients(tables)
		f.table = tables
		return f, nil
	})}
}

// defaultMessageTimeout bounds the wait for each reply.
const defaultMessageTimeout = 200 * time.Millisecond

func compile(p field.Path, m *extprocv3.ExternalProcessor, ctx *http.FactoryContext) (*factory, error) {
	if err := field.Only(p, m, "grpc_service", "http_service", "failure_mode_allow", "processing_mode", "message_timeout", "stat_prefix", "mutation_rules",
		"max_message_timeout", "forward_rules", "allow_mode_override", "disable_immediate_response", "metadata_options", "observability_mode",
		"disable_clear_route_cache", "route_cache_action", "deferred_close_timeout", "request_attributes", "response_attributes", "allowed_override_modes", "status_on_error",
		"allow_content_length_header", "emit_client_span", "send_body_without_waiting_for_header_response", "filter_metadata"); err != nil {
		return nil, err
	}
	if err := noClientSpan(p, m.GetEmitClientSpan()); err != nil {
		return nil, err
	}
	f := &factory{
		settings:      settings{failureAllow: m.FailureModeAllow},
		timeout:       defaultMessageTimeout,
		maxTimeout:    m.GetMaxMessageTimeout().AsDuration(),
		allowOverride: m.AllowModeOverride, noImmediate: m.DisableImmediateResponse, observe: m.ObservabilityMode,
		keepRoute: m.DisableClearRouteCache || m.RouteCacheAction == extprocv3.ExternalProcessor_RETAIN, clearRoute: m.RouteCacheAction == extprocv3.ExternalProcessor_CLEAR,
		errorStatus: 500, keepLength: m.AllowContentLengthHeader, sendEarly: m.SendBodyWithoutWaitingForHeaderResponse,
	}
	if m.MessageTimeout != nil {
		f.timeout = m.MessageTimeout.AsDuration()
	}
	if c := int(m.GetStatusOnError().GetCode()); c != 0 {
		f.errorStatus = c
	}
	var err error
	if f.mode, err = compileMode(p.Dot("processing_mode"), m.ProcessingMode); err != nil {
		return nil, err
	}
	switch {
	case (m.GrpcService == nil) == (m.HttpService == nil):
		return nil, p.Errorf("One and only one of grpc_service or http_service must be configured")
	case m.HttpService != nil:
		f.http, err = compileHTTP(p, m, f.mode)
	default:
		f.service, err = grpc.Compile(p.Dot("grpc_service"), m.GrpcService, 0, ctx.LocalAddress)
	}
	if err != nil {
		return nil, err
	}
	for i, c := range m.AllowedOverrideModes {
		x, err := compileMode(p.Dot("allowed_override_modes").Index(i), c)
		if err != nil {
			return nil, err
		}
		f.overrides = append(f.overrides, x)
	}
	if f.rules, err = headerrules.Compile(p.Dot("mutation_rules"), m.MutationRules, nil); err != nil {
		return nil, err
	}
	if f.rules == nil {
		f.rules = &headerrules.Rules{}
	}
	fp := p.Dot("forward_rules")
	if f.allowed, err = patterns(fp.Dot("allowed_headers"), m.GetForwardRules().GetAllowedHeaders()); err != nil {
		return nil, err
	}
	if f.disallowed, err = patterns(fp.Dot("disallowed_headers"), m.GetForwardRules().GetDisallowedHeaders()); err != nil {
		return nil, err
	}
	if err := f.settings.namespaces(p.Dot("metadata_options"), m.MetadataOptions); err != nil {
		return nil, err
	}
	if f.attributes, err = compileAttributes(p, m); err != nil {
		return nil, err
	}
	prefix := ""
	if m.StatPrefix != "" {
		prefix = m.StatPrefix + "."
	}
	f.group = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: ctx.StatPrefix + "ext_proc." + prefix})
	return f, nil
}

func compileAttributes(p field.Path, c *extprocv3.ExternalProcessor) (out [2][]attribute, err error) {
	for d, list := range [2][]string{c.GetRequestAttributes(), c.GetResponseAttributes()} {
		for i, expression := range list {
			program, err := cel.Compile(expression)
			if err != nil {
				return out, p.Dot([]string{"request_attributes", "response_attributes"}[d]).Index(i).Wrap(err)
			}
			out[d] = append(out[d], attribute{expression, program})
		}
	}
	return out, nil
}

func patterns(p field.Path, c *matcherv3.ListStringMatcher) ([]matcher.String, error) {
	var out []matcher.String
	for i, m := range c.GetPatterns() {
		x, err := matcher.NewString(p.Dot("patterns").Index(i), m, nil)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// noClientSpan takes emit_client_span where it says what weir does: there are
// no spans for the calls of processors.
func noClientSpan(p field.Path, emit *wrapperspb.BoolValue) error {
	if emit.GetValue() {
		return p.Dot("emit_client_span").Errorf("weir has no spans for these calls; it takes false only")
	}
	return nil
}
