package localratelimit

import (
	"time"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/tokenbucket"
	"github.com/weirproxy/weir/xds/protos"
)

// TypeURL is the type of the filter's configuration and of a route's.
const TypeURL = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"

// leastInterval is Envoy's shortest fill_interval.
const leastInterval = 50 * time.Millisecond

const resourceExhausted = 8 // gRPC's status

// Maker makes the filter's factories.
func Maker() http.FilterMaker {
	return http.FilterMaker{
		New: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (http.FilterFactory, error) {
			s, err := compile(p, config, ctx)
			if err != nil {
				return nil, err
			}
			return &factory{settings: s, serviceCluster: ctx.ServiceCluster}, nil
		},
		RouteConfig: func(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (any, error) {
			s, err := compile(p, config, ctx)
			if err == nil && s.limits.common == nil {
				err = p.Dot("token_bucket").Errorf("a route's configuration needs one")
				s.Close()
			}
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

func compile(p field.Path, config *anypb.Any, ctx *http.FactoryContext) (*settings, error) {
	m := &localv3.LocalRateLimit{}
	if err := protos.Unpack(p, config, m); err != nil {
		return nil, err
	}
	if err := field.Only(p, m, "stat_prefix", "status", "token_bucket", "filter_enabled", "filter_enforced", "request_headers_to_add_when_not_enforced",
		"response_headers_to_add", "descriptors", "stage", "local_rate_limit_per_downstream_connection", "enable_x_ratelimit_headers",
		"vh_rate_limits", "always_consume_default_token_bucket", "rate_limited_as_resource_exhausted", "rate_limits", "max_dynamic_descriptors",
		"enable_retry_after_header"); err != nil {
		return nil, err
	}
	s := &settings{
		status: 429, grpc: http.NoGrpcStatus, stage: m.GetStage(), perConnection: m.GetLocalRateLimitPerDownstreamConnection(),
		xHeaders:   m.GetEnableXRatelimitHeaders() == ratelimitv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03,
		retryAfter: m.GetEnableRetryAfterHeader(),
	}
	if code := int(m.GetStatus().GetCode()); code >= 400 {
		s.status = code
	}
	if m.GetRateLimitedAsResourceExhausted() {
		s.grpc = resourceExhausted
	}
	switch m.GetVhRateLimits() {
	case ratelimitv3.VhRateLimitsOptions_INCLUDE:
		s.hostLimits = hostLimitsToo
	case ratelimitv3.VhRateLimitsOptions_IGNORE:
		s.hostLimits = hostLimitsNever
	}
	none := fraction.Of(0, 100)
	var err error
	if s.enabled, err = fraction.NewPercent(p.Dot("filter_enabled"), m.GetFilterEnabled(), none, ctx.Runtime); err != nil {
		return nil, err
	}
	if s.enforced, err = fraction.NewPercent(p.Dot("filter_enforced"), m.GetFilterEnforced(), none, ctx.Runtime); err != nil {
		return nil, err
	}
	if s.requestHeaders, err = route.CompileHeaders(p.Dot("request_headers_to_add_when_not_enforced"), m.GetRequestHeadersToAddWhenNotEnforced(), compileFormat); err != nil {
		return nil, err
	}
	if s.responseHeaders, err = route.CompileHeaders(p.Dot("response_headers_to_add"), m.GetResponseHeadersToAdd(), compileFormat); err != nil {
		return nil, err
	}
	for i, l := range m.GetRateLimits() {
		if l.GetLimit() != nil {
			return nil, p.Dot("rate_limits").Index(i).Dot("limit").Errorf("is for a rate limit service only")
		}
	}
	if s.own, err = route.CompileRateLimits(p.Dot("rate_limits"), m.GetRateLimits(), compileFormat); err != nil {
		return nil, err
	}
	if err := s.setLimits(p, m); err != nil {
		return nil, err
	}
	s.stats = stats.NewGroup[Stats](ctx.Stats, stats.Scope{Prefix: m.GetStatPrefix() + ".http_local_rate_limit."})
	return s, nil
}

func compileFormat(text string) (route.ValueFormatter, error) {
	return formatter.CompileHeader("", text)
}

// defaultDynamic is Envoy's max_dynamic_descriptors.
const defaultDynamic = 20

func (s *settings) setLimits(p field.Path, m *localv3.LocalRateLimit) error {
	l := &s.limits
	l.always = m.GetAlwaysConsumeDefaultTokenBucket() == nil || m.GetAlwaysConsumeDefaultTokenBucket().GetValue()
	maxDynamic := defaultDynamic
	if n := m.GetMaxDynamicDescriptors(); n != nil {
		maxDynamic = int(n.GetValue())
	}
	var err error
	if m.GetTokenBucket() != nil {
		if l.common, err = tokenbucket.Compile(p.Dot("token_bucket"), m.GetTokenBucket(), leastInterval); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for i, d := range m.GetDescriptors() {
		p := p.Dot("descriptors").Index(i)
		if err := field.Only(p, d, "entries", "token_bucket", "shadow_mode"); err != nil {
			return err
		}
		b, err := tokenbucket.Compile(p.Dot("token_bucket"), d.GetTokenBucket(), leastInterval)
		if err != nil {
			return err
		}
		out := descriptor{bucket: b, shadow: d.GetShadowMode()}
		key := ""
		for _, e := range d.GetEntries() {
			out.entries = append(out.entries, route.DescriptorEntry{Key: e.GetKey(), Value: e.GetValue()})
			key += e.GetKey() + "\x00" + e.GetValue() + "\x00"
			if e.GetValue() == "" && out.dynamic == nil {
				out.dynamic = newDynamic(maxDynamic)
			}
		}
		if seen[key] {
			return p.Errorf("the same descriptor is there twice")
		}
		seen[key] = true
		l.descriptors = append(l.descriptors, out)
	}
	return nil
}
