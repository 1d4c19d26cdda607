package route

import (
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	omithostmetadatav3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/omit_host_metadata/v3"
	previousprioritiesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/priority/previous_priorities/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/xds/protos"
)

func (k *compiler) retryPolicy(p field.Path, c *routev3.RetryPolicy) (*RetryPolicy, error) {
	if c == nil {
		return nil, nil
	}
	p = p.Dot("retry_policy")
	if err := field.Only(p, c, "retry_on", "num_retries", "per_try_timeout", "per_try_idle_timeout", "retry_host_predicate",
		"host_selection_retry_max_attempts", "retriable_status_codes", "retry_back_off", "rate_limited_retry_back_off",
		"retriable_headers", "retriable_request_headers", "retry_priority",
		// Of the ways to choose a cluster that weir has none can be asked again.
		"refresh_cluster_on_retry"); err != nil {
		return nil, err
	}
	r := &RetryPolicy{
		NumRetries:            1,
		StatusCodes:           c.GetRetriableStatusCodes(),
		HostSelectionAttempts: int(max(c.GetHostSelectionRetryMaxAttempts(), 1)),
	}
	if n := c.GetNumRetries(); n != nil {
		r.NumRetries = n.GetValue()
	}
	r.On, _ = ParseRetryOn(c.GetRetryOn()) // Envoy overlooks what it does not know
	var err error
	if r.PerTryTimeout, err = duration(p, "per_try_timeout", c.GetPerTryTimeout(), 0); err != nil {
		return nil, err
	}
	if r.PerTryIdleTimeout, err = duration(p, "per_try_idle_timeout", c.GetPerTryIdleTimeout(), 0); err != nil {
		return nil, err
	}
	if err := retryHosts(p, c, r); err != nil {
		return nil, err
	}
	if r.Headers, err = matcher.NewHeaders(p.Dot("retriable_headers"), c.GetRetriableHeaders(), k.regexes); err != nil {
		return nil, err
	}
	if r.RequestHeaders, err = matcher.NewHeaders(p.Dot("retriable_request_headers"), c.GetRetriableRequestHeaders(), k.regexes); err != nil {
		return nil, err
	}
	if r.BaseInterval, r.MaxInterval, err = backOff(p.Dot("retry_back_off"), c.GetRetryBackOff()); err != nil {
		return nil, err
	}
	r.RateLimited, err = rateLimitedBackOff(p.Dot("rate_limited_retry_back_off"), c.GetRateLimitedRetryBackOff())
	return r, err
}

// retryHosts compiles retry_host_predicate and retry_priority. Extensions are
// known by their type, and those without settings by their name.
func retryHosts(p field.Path, c *routev3.RetryPolicy, r *RetryPolicy) error {
	for i, hp := range c.GetRetryHostPredicate() {
		pp := p.Dot("retry_host_predicate").Index(i)
		switch name := or(protos.TypeName(hp.GetTypedConfig()), hp.GetName()); name {
		case "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate", "envoy.retry_host_predicates.previous_hosts":
			r.OmitPreviousHosts = true
		case "envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate", "envoy.retry_host_predicates.omit_canary_hosts":
			r.OmitCanaryHosts = true
		case "envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig":
			m := &omithostmetadatav3.OmitHostMetadataConfig{}
			if err := protos.Unpack(pp.Dot("typed_config"), hp.GetTypedConfig(), m); err != nil {
				return err
			}
			r.OmitMetadata = lb.MergeCriteria(nil, m.GetMetadataMatch().GetFilterMetadata()[subsetNamespace].AsMap())
		default:
			return pp.Dot("name").Errorf("weir has no retry host predicate %q", name)
		}
	}
	rp := c.GetRetryPriority()
	if rp == nil {
		return nil
	}
	pp := p.Dot("retry_priority.typed_config")
	if name := protos.TypeName(rp.GetTypedConfig()); name != "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig" {
		return pp.Errorf("weir has no retry priority %q", or(name, rp.GetName()))
	}
	m := &previousprioritiesv3.PreviousPrioritiesConfig{}
	if err := protos.Unpack(pp, rp.GetTypedConfig(), m); err != nil {
		return err
	}
	r.PreviousPriorities = int(m.GetUpdateFrequency())
	return nil
}

func backOff(p field.Path, c *routev3.RetryPolicy_RetryBackOff) (base, most time.Duration, err error) {
	if c == nil {
		return 0, 0, nil
	}
	if err := field.Only(p, c, "base_interval", "max_interval"); err != nil {
		return 0, 0, err
	}
	if base, err = duration(p, "base_interval", c.GetBaseInterval(), 0); err != nil {
		return 0, 0, err
	}
	if base == 0 {
		return 0, 0, p.Dot("base_interval").Errorf("base_interval must be given and greater than 0")
	}
	base = max(base, time.Millisecond)
	if most, err = duration(p, "max_interval", c.GetMaxInterval(), 10*base); err != nil {
		return 0, 0, err
	}
	if most = max(most, time.Millisecond); most < base {
		return 0, 0, p.Dot("max_interval").Errorf("max_interval must not be less than base_interval")
	}
	return base, most, nil
}

const defaultResetMaxInterval = 300 * time.Second

func rateLimitedBackOff(p field.Path, c *routev3.RetryPolicy_RateLimitedRetryBackOff) (*RateLimitedBackOff, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p, c, "reset_headers", "max_interval"); err != nil {
		return nil, err
	}
	if len(c.GetResetHeaders()) == 0 {
		return nil, p.Dot("reset_headers").Errorf("at least one header is needed")
	}
	b := &RateLimitedBackOff{}
	var err error
	if b.MaxInterval, err = duration(p, "max_interval", c.GetMaxInterval(), defaultResetMaxInterval); err != nil {
		return nil, err
	}
	for _, h := range c.GetResetHeaders() {
		b.Headers = append(b.Headers, ResetHeader{
			Name:          matcher.LowerASCII(h.GetName()),
			UnixTimestamp: h.GetFormat() == routev3.RetryPolicy_UNIX_TIMESTAMP,
		})
	}
	return b, nil
}

// hedgePolicy takes what Envoy implements of it.
func hedgePolicy(p field.Path, c *routev3.HedgePolicy) (*HedgePolicy, error) {
	if c == nil {
		return nil, nil
	}
	p = p.Dot("hedge_policy")
	if err := field.Only(p, c, "initial_requests", "hedge_on_per_try_timeout"); err != nil {
		return nil, err
	}
	if n := c.GetInitialRequests(); n != nil && n.GetValue() != 1 {
		return nil, p.Dot("initial_requests").Errorf("only 1 initial request is supported, not %d", n.GetValue())
	}
	return &HedgePolicy{OnPerTryTimeout: c.GetHedgeOnPerTryTimeout()}, nil
}
