package extauthz

import (
	"maps"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL and RouteTypeURL are the configurations' types.
const (
	TypeURL      = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
	RouteTypeURL = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
)

// Maker makes filter factories. tables gives each worker's cluster table.
func Maker(tables func(worker int) *upstream.Table) http.FilterMaker {
	return http.FilterMaker{RouteConfig: http.RouteFrom(routeConfig), RouteTypeURL: RouteTypeURL, New: http.NewFrom(func(p field.Path, m *extauthzv3.ExtAuthz, ctx *http.FactoryContext) (*factory, error) {
		f, err := compile(p, m, ctx)
		if err != nil {
			return nil, err
		}
		f.client = async.Clients(tables)
		f.table = tables
		return f, nil
	})}
}

func compile(p field.Path, m *extauthzv3.ExtAuthz, ctx *http.FactoryContext) (*factory, error) {
	if err := field.Only(p, m, "grpc_service", "http_service", "transport_api_version", "failure_mode_allow", "failure_mode_allow_header_add",
		"with_request_body", "clear_route_cache", "status_on_error", "validate_mutations", "metadata_context_namespaces",
		"route_metadata_context_namespaces", "filter_enabled", "filter_enabled_metadata", "deny_at_disable", "stat_prefix", "allowed_headers",
		"disallowed_headers", "include_tls_session", "include_peer_certificate", "charge_cluster_response_stats", "encode_raw_headers", "decoder_header_mutation_rules",
		"enable_dynamic_metadata_ingestion", "max_denied_response_body_bytes", "clear_route_cache_headers", "bootstrap_metadata_labels_key", "shadow_mode", "emit_client_span",
		"enforce_response_header_limits", "emit_filter_state_stats", "filter_metadata",
		// That of routes is refused.
		"typed_metadata_context_namespaces", "route_typed_metadata_context_namespaces"); err != nil {
		return nil, err
	}
	if err := noClientSpan(p, m.GetEmitClientSpan()); err != nil {
		return nil, err
	}
	if err := protos.CheckVersion(p.Dot("transport_api_version"), m.TransportApiVersion); err != nil {
		return nil, err
	}
	f := &factory{
		shadow: m.ShadowMode, labels: labels(ctx.NodeMetadata[m.BootstrapMetadataLabelsKey]), routeHeaders: lowered(m.ClearRouteCacheHeaders),
		allowOnFailure: m.FailureModeAllow, failureHeader: m.FailureModeAllowHeaderAdd, clearRouteCache: m.ClearRouteCache,
		statusOnError: 403, validate: m.ValidateMutations, metadata: m.MetadataContextNamespaces, typedMetadata: m.TypedMetadataContextNamespaces, routeMetadata: m.RouteMetadataContextNamespaces,
		tlsSession: m.IncludeTlsSession, peerCertificate: m.IncludePeerCertificate, chargeCluster: m.ChargeClusterResponseStats == nil || m.ChargeClusterResponseStats.Value,
		rawHeaders: m.EncodeRawHeaders, ingest: m.EnableDynamicMetadataIngestion == nil || m.EnableDynamicMetadataIngestion.Value,
		maxDeniedBody: int(m.MaxDeniedResponseBodyBytes), withBody: compileBody(m.WithRequestBody), limitResponses: m.EnforceResponseHeaderLimits,
		// Nothing that Envoy can write shows what filter_metadata says; only that there is an object.
		logs: m.FilterMetadata != nil || m.EmitFilterStateStats, logsCall: m.EmitFilterStateStats,
	}
	if c := m.GetStatusOnError().GetCode(); c != 0 {
		f.statusOnError = int(c)
	}
	var err error
	if f.enabled, err = fraction.NewPercent(p.Dot("filter_enabled"), m.FilterEnabled, fraction.Of(1, 1), ctx.Runtime); err != nil {
		return nil, err
	}
	if m.DenyAtDisable != nil {
		f.mayDeny = true
		if f.denyAtDisable, err = fraction.NewFlag(p.Dot("deny_at_disable"), m.DenyAtDisable, ctx.Runtime); err != nil {
			return nil, err
		}
	}
	if m.FilterEnabledMetadata != nil {
		x, err := matcher.NewMetadata(p.Dot("filter_enabled_metadata"), m.FilterEnabledMetadata, nil)
		if err != nil {
			return nil, err
		}
		f.enabledMetadata = &x
	}
	if f.rules, err = headerrules.Compile(p.Dot("decoder_header_mutation_rules"), m.DecoderHeaderMutationRules, nil); err != nil {
		return nil, err
	}
	if f.allowed, err = patterns(p.Dot("allowed_headers"), m.AllowedHeaders); err != nil {
		return nil, err
	}
	if f.disallowed, err = patterns(p.Dot("disallowed_headers"), m.DisallowedHeaders); err != nil {
		return nil, err
	}
	switch {
	case m.GetGrpcService() != nil:
		f.service, err = compileGrpc(p.Dot("grpc_service"), m.GetGrpcService(), ctx)
	case m.GetHttpService() != nil:
		f.service, err = compileHTTP(p.Dot("http_service"), m.GetHttpService(), f)
	default:
		err = p.Errorf("one of grpc_service and http_service is needed")
	}
	if err != nil {
		return nil, err
	}
	f.makeStats(ctx, m.StatPrefix)
	return f, nil
}

// noClientSpan takes emit_client_span where it says what weir does: there are
// no spans for the questions to authorization servers.
func noClientSpan(p field.Path, emit *wrapperspb.BoolValue) error {
	if emit.GetValue() {
		return p.Dot("emit_client_span").Errorf("weir has no spans for these requests; it takes false only")
	}
	return nil
}

// labels are the strings of an object in the node's metadata.
func labels(metadata any) map[string]string {
	fields, _ := metadata.(map[string]any)
	if len(fields) == 0 {
		return nil
	}
	out := make(map[string]string, len(fields))
	for k, v := range fields {
		out[k], _ = v.(string)
	}
	return out
}

func lowered(names []string) (out []string) {
	for _, n := range names {
		out = append(out, strings.ToLower(n))
	}
	return out
}

func compileBody(b *extauthzv3.BufferSettings) *bodySettings {
	if b == nil {
		return nil
	}
	return &bodySettings{max: b.MaxRequestBytes, partial: b.AllowPartialMessage, bytes: b.PackAsBytes}
}

// defaultTimeout bounds a question over gRPC.
const defaultTimeout = 200 * time.Millisecond

func compileGrpc(p field.Path, c *corev3.GrpcService, ctx *http.FactoryContext) (service, error) {
	s, err := grpc.Compile(p, c, defaultTimeout, ctx.LocalAddress)
	if err != nil {
		return nil, err
	}
	return &grpcService{service: s}, nil
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

// routeSettings is an ExtAuthzPerRoute compiled.
type routeSettings struct {
	disabled   bool
	extensions map[string]string
	noBody     bool
	body       *bodySettings
	service    service // nil: the filter's
}

// routeConfig compiles an ExtAuthzPerRoute.
func routeConfig(p field.Path, m *extauthzv3.ExtAuthzPerRoute, ctx *http.FactoryContext) (r *routeSettings, err error) {
	c := m.GetCheckSettings()
	p = p.Dot("check_settings")
	if err := field.Only(p, c, "context_extensions", "disable_request_body_buffering", "with_request_body", "grpc_service", "http_service", "emit_client_span"); err != nil {
		return nil, err
	}
	if err := noClientSpan(p, c.GetEmitClientSpan()); err != nil {
		return nil, err
	}
	if c.GetDisableRequestBodyBuffering() && c.GetWithRequestBody() != nil {
		return nil, p.Errorf("disable_request_body_buffering and with_request_body must not both be set")
	}
	r = &routeSettings{disabled: m.GetDisabled(), extensions: maps.Clone(c.GetContextExtensions()), noBody: c.GetDisableRequestBodyBuffering(), body: compileBody(c.GetWithRequestBody())}
	switch {
	case c.GetGrpcService() != nil:
		r.service, err = compileGrpc(p.Dot("grpc_service"), c.GetGrpcService(), ctx)
	case c.GetHttpService() != nil:
		r.service, err = compileHTTP(p.Dot("http_service"), c.GetHttpService(), nil)
	}
	return r, err
}
