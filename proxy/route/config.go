package route

import (
	"errors"
	"fmt"
	"os"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

// ErrUnknownFilter is what Options.FilterConfig returns (wrapped or not) for a
// configuration of a type that weir has no filter for. An optional one is then
// left out.
var ErrUnknownFilter = errors.New("unknown filter configuration type")

// Options are what Compile needs from others. Any may be left out.
type Options struct {
	// FilterConfig compiles one typed_per_filter_config for the filter with
	// that name. Without it each is refused.
	FilterConfig func(p field.Path, filter string, config *anypb.Any) (any, error)
	// ClusterKnown tells whether a cluster exists, for validate_clusters.
	ClusterKnown func(name string) bool
	// ValidateClusters is validate_clusters where it is not given: true for
	// configurations inline in a connection manager, false for RDS.
	ValidateClusters bool
	// Runtime is kept and called on workers.
	Runtime Runtime
	// CompileFormat compiles a header value with substitution commands.
	// Without it, values with commands are refused.
	CompileFormat func(format string) (ValueFormatter, error)
}

// compiler holds what one compilation shares.
type compiler struct {
	Options
	regexes  *matcher.Regexes
	config   *Config
	maxBody  uint64 // of direct responses
	mirrors  []Mirror
	validate bool
}

const defaultMaxDirectResponseBody = 4096

// Compile compiles a route configuration whose place is p.
func Compile(p field.Path, c *routev3.RouteConfiguration, o Options) (*Config, error) {
	if err := field.Only(p, c, "name", "virtual_hosts", "internal_only_headers", "response_headers_to_add", "response_headers_to_remove",
		"request_headers_to_add", "request_headers_to_remove", "most_specific_header_mutations_wins", "validate_clusters",
		"max_direct_response_body_size_bytes", "request_mirror_policies", "ignore_port_in_host_matching", "vhost_header",
		"ignore_path_parameters_in_path_matching", "typed_per_filter_config", "metadata"); err != nil {
		return nil, err
	}
	cfg := &Config{
		name:                 c.GetName(),
		vhostHeader:          matcher.LowerASCII(c.GetVhostHeader()),
		ignorePort:           c.GetIgnorePortInHostMatching(),
		ignorePathParameters: c.GetIgnorePathParametersInPathMatching(),
		specificWins:         c.GetMostSpecificHeaderMutationsWins(),
	}
	k := &compiler{Options: o, regexes: matcher.NewRegexes(), config: cfg, maxBody: defaultMaxDirectResponseBody, validate: o.ValidateClusters}
	if v := c.GetValidateClusters(); v != nil {
		k.validate = v.GetValue()
	}
	if n := c.GetMaxDirectResponseBodySizeBytes(); n != nil {
		k.maxBody = uint64(n.GetValue())
	}
	for _, name := range c.GetInternalOnlyHeaders() {
		cfg.internalOnlyHeaders = append(cfg.internalOnlyHeaders, matcher.LowerASCII(name))
	}
	var err error
	if cfg.mutations, err = k.mutations(p, c); err != nil {
		return nil, err
	}
	if cfg.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig()); err != nil {
		return nil, err
	}
	if cfg.metadata, err = metadata(p, c.GetMetadata()); err != nil {
		return nil, err
	}
	if k.mirrors, err = k.mirrorPolicies(p, c.GetRequestMirrorPolicies()); err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(c.GetVirtualHosts()))
	cfg.vhosts = make([]*VirtualHost, len(c.GetVirtualHosts()))
	for i, vc := range c.GetVirtualHosts() {
		vp := p.Dot("virtual_hosts").Index(i)
		if names[vc.GetName()] {
			return nil, vp.Dot("name").Errorf("virtual host %q appears twice; names must be unique", vc.GetName())
		}
		names[vc.GetName()] = true
		if cfg.vhosts[i], err = k.virtualHost(vp, vc); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

func (k *compiler) virtualHost(p field.Path, c *routev3.VirtualHost) (*VirtualHost, error) {
	if err := field.Only(p, c, "name", "domains", "routes", "require_tls", "virtual_clusters", "rate_limits", "request_headers_to_add",
		"request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config",
		"include_request_attempt_count", "include_attempt_count_in_response", "retry_policy", "hedge_policy",
		"include_is_timeout_retry_header", "per_request_buffer_limit_bytes", "request_body_buffer_limit",
		"request_mirror_policies", "metadata"); err != nil {
		return nil, err
	}
	v := &VirtualHost{
		config:                        k.config,
		name:                          c.GetName(),
		domains:                       c.GetDomains(),
		IncludeRequestAttemptCount:    c.GetIncludeRequestAttemptCount(),
		IncludeAttemptCountInResponse: c.GetIncludeAttemptCountInResponse(),
		IncludeIsTimeoutRetry:         c.GetIncludeIsTimeoutRetryHeader(),
	}
	if v.name == "" {
		return nil, p.Dot("name").Errorf("a virtual host needs a name")
	}
	if len(v.domains) == 0 {
		return nil, p.Dot("domains").Errorf("virtual host %q needs at least one domain", v.name)
	}
	for i, domain := range v.domains {
		if err := k.config.hosts.add(domain, v); err != nil {
			return nil, p.Dot("domains").Index(i).Wrap(err)
		}
	}
	switch c.GetRequireTls() {
	case routev3.VirtualHost_EXTERNAL_ONLY:
		v.tls = tlsExternalOnly
	case routev3.VirtualHost_ALL:
		v.tls = tlsAll
	}
	if v.tls != tlsNone {
		v.redirect.entry = &Entry{vhost: v, redirect: &Redirect{Code: 301, verbatim: true}}
	}
	var err error
	if v.mutations, err = k.mutations(p, c); err != nil {
		return nil, err
	}
	if v.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig()); err != nil {
		return nil, err
	}
	if v.metadata, err = metadata(p, c.GetMetadata()); err != nil {
		return nil, err
	}
	if v.RateLimits, err = k.rateLimits(p, c.GetRateLimits()); err != nil {
		return nil, err
	}
	for i, vc := range c.GetVirtualClusters() {
		headers, err := matcher.NewHeaders(p.Dot("virtual_clusters").Index(i).Dot("headers"), vc.GetHeaders(), k.regexes)
		if err != nil {
			return nil, err
		}
		v.VirtualClusters = append(v.VirtualClusters, VirtualCluster{Name: vc.GetName(), Headers: headers})
	}
	inherited := defaults{mirrors: k.mirrors, bufferLimit: bufferLimit(c)}
	if inherited.retry, err = k.retryPolicy(p, c.GetRetryPolicy()); err != nil {
		return nil, err
	}
	if inherited.hedge, err = hedgePolicy(p, c.GetHedgePolicy()); err != nil {
		return nil, err
	}
	if len(c.GetRequestMirrorPolicies()) > 0 {
		if inherited.mirrors, err = k.mirrorPolicies(p, c.GetRequestMirrorPolicies()); err != nil {
			return nil, err
		}
	}
	v.entries = make([]Entry, len(c.GetRoutes()))
	for i, rc := range c.GetRoutes() {
		e := &v.entries[i]
		e.vhost = v
		e.self.entry = e
		if err := k.entry(p.Dot("routes").Index(i), rc, e, &inherited); err != nil {
			return nil, err
		}
	}
	v.index = buildIndex(v.entries)
	return v, nil
}

// defaults are what a virtual host's routes have unless they say otherwise.
type defaults struct {
	retry       *RetryPolicy
	hedge       *HedgePolicy
	mirrors     []Mirror
	bufferLimit *uint64
}

func (k *compiler) entry(p field.Path, c *routev3.Route, e *Entry, inherited *defaults) error {
	if err := field.Only(p, c, "name", "match", "route", "redirect", "direct_response", "non_forwarding_action", "metadata", "decorator",
		"typed_per_filter_config", "request_headers_to_add", "request_headers_to_remove", "response_headers_to_add",
		"response_headers_to_remove", "tracing", "per_request_buffer_limit_bytes", "request_body_buffer_limit", "stat_prefix"); err != nil {
		return err
	}
	e.name = c.GetName()
	err := k.match(p.Dot("match"), c.GetMatch(), e)
	if err != nil {
		return err
	}
	switch a := c.GetAction().(type) {
	case *routev3.Route_Route:
		e.forward, err = k.forward(p.Dot("route"), a.Route, e, inherited)
	case *routev3.Route_Redirect:
		e.redirect, err = k.redirect(p.Dot("redirect"), a.Redirect)
	case *routev3.Route_DirectResponse:
		e.direct, err = k.directResponse(p.Dot("direct_response"), a.DirectResponse)
	case *routev3.Route_NonForwardingAction:
	default:
		err = p.Errorf("a route needs an action: route, redirect, direct_response or non_forwarding_action")
	}
	if err != nil {
		return err
	}
	if e.mutations, err = k.mutations(p, c); err != nil {
		return err
	}
	if e.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig()); err != nil {
		return err
	}
	limit := bufferLimit(c)
	if limit == nil {
		limit = inherited.bufferLimit
	}
	if c.GetMetadata() == nil && c.GetDecorator() == nil && c.GetTracing() == nil && c.GetStatPrefix() == "" && limit == nil {
		return nil
	}
	e.extras = &extras{statPrefix: c.GetStatPrefix(), bufferLimit: limit}
	if e.extras.metadata, err = metadata(p, c.GetMetadata()); err != nil {
		return err
	}
	if d := c.GetDecorator(); d != nil {
		e.extras.decorator = &Decorator{Operation: d.GetOperation(), Propagate: d.GetPropagate() == nil || d.GetPropagate().GetValue()}
	}
	e.extras.tracing, err = k.tracing(p, c.GetTracing())
	return err
}

func (k *compiler) tracing(p field.Path, c *routev3.Tracing) (*Tracing, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p.Dot("tracing"), c, "client_sampling", "random_sampling", "overall_sampling"); err != nil {
		return nil, err
	}
	return &Tracing{
		Client:  k.fraction(c.GetClientSampling(), ""),
		Random:  k.fraction(c.GetRandomSampling(), ""),
		Overall: k.fraction(c.GetOverallSampling(), ""),
	}, nil
}

func (k *compiler) runtimeFraction(c *corev3.RuntimeFractionalPercent) *Fraction {
	if c == nil {
		return nil
	}
	if c.GetDefaultValue() == nil {
		return &Fraction{Denominator: 100, key: c.GetRuntimeKey(), runtime: k.Runtime}
	}
	return k.fraction(c.GetDefaultValue(), c.GetRuntimeKey())
}

func (k *compiler) fraction(c *typev3.FractionalPercent, key string) *Fraction {
	if c == nil {
		return nil
	}
	f := &Fraction{Numerator: uint64(c.GetNumerator()), Denominator: 100, key: key, runtime: k.Runtime}
	switch c.GetDenominator() {
	case typev3.FractionalPercent_TEN_THOUSAND:
		f.Denominator = 10_000
	case typev3.FractionalPercent_MILLION:
		f.Denominator = 1_000_000
	}
	return f
}

// filterConfigs compiles the typed_per_filter_config of the message at p.
func (k *compiler) filterConfigs(p field.Path, c map[string]*anypb.Any) (filterConfigs, error) {
	if len(c) == 0 {
		return nil, nil
	}
	out := make(filterConfigs, 0, len(c))
	for name, config := range c {
		fp, f, optional := p.Dot("typed_per_filter_config").Key(name), filterConfig{name: name}, false
		if config.MessageIs((*routev3.FilterConfig)(nil)) {
			var wrapper routev3.FilterConfig
			if err := config.UnmarshalTo(&wrapper); err != nil {
				return nil, fp.Wrap(err)
			}
			f.disabled, optional, config = wrapper.GetDisabled(), wrapper.GetIsOptional(), wrapper.GetConfig()
		}
		if config != nil {
			if k.FilterConfig == nil {
				return nil, fp.Errorf("no filter takes %s here", config.GetTypeUrl())
			}
			var err error
			f.config, err = k.FilterConfig(fp, name, config)
			if optional && errors.Is(err, ErrUnknownFilter) {
				continue
			}
			if err != nil {
				return nil, fp.Wrap(err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// metadata turns the metadata of the message at p into plain maps.
func metadata(p field.Path, c *corev3.Metadata) (map[string]map[string]any, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p.Dot("metadata"), c, "filter_metadata"); err != nil {
		return nil, err
	}
	out := make(map[string]map[string]any, len(c.GetFilterMetadata()))
	for namespace, s := range c.GetFilterMetadata() {
		out[namespace] = s.AsMap()
	}
	return out, nil
}

func bufferLimit(c interface {
	GetPerRequestBufferLimitBytes() *wrapUInt32
	GetRequestBodyBufferLimit() *wrapUInt64
}) *uint64 {
	var n uint64
	switch {
	case c.GetRequestBodyBufferLimit() != nil:
		n = c.GetRequestBodyBufferLimit().GetValue()
	case c.GetPerRequestBufferLimitBytes() != nil:
		n = uint64(c.GetPerRequestBufferLimitBytes().GetValue())
	default:
		return nil
	}
	return &n
}

// duration is the field of that name of the message at p, unset when it is not
// given. The path is made for errors only: most routes give few fields.
func duration(p field.Path, name string, d *durationpb.Duration, unset time.Duration) (time.Duration, error) {
	if d == nil {
		return unset, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, p.Dot(name).Wrap(err)
	}
	if v := d.AsDuration(); v >= 0 {
		return v, nil
	}
	return 0, p.Dot(name).Errorf("a duration must not be negative")
}

// dataSource reads a DataSource of at most limit bytes.
func dataSource(p field.Path, c *corev3.DataSource, limit uint64) (string, error) {
	if err := field.Only(p, c, "filename", "inline_bytes", "inline_string", "environment_variable"); err != nil {
		return "", err
	}
	var body string
	switch s := c.GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		body = s.InlineString
	case *corev3.DataSource_InlineBytes:
		body = string(s.InlineBytes)
	case *corev3.DataSource_EnvironmentVariable:
		value, ok := os.LookupEnv(s.EnvironmentVariable)
		if !ok {
			return "", p.Dot("environment_variable").Errorf("environment variable %q is not set", s.EnvironmentVariable)
		}
		body = value
	case *corev3.DataSource_Filename:
		info, err := os.Stat(s.Filename)
		if err != nil {
			return "", p.Dot("filename").Wrap(err)
		}
		if uint64(info.Size()) > limit {
			return "", p.Dot("filename").Errorf("%s is %d bytes; at most %d are allowed", s.Filename, info.Size(), limit)
		}
		b, err := os.ReadFile(s.Filename)
		if err != nil {
			return "", p.Dot("filename").Wrap(err)
		}
		body = string(b)
	}
	if n := uint64(len(body)); n > limit {
		return "", p.Errorf("the body is %d bytes; at most %d are allowed (max_direct_response_body_size_bytes)", n, limit)
	}
	return body, nil
}

func (k *compiler) clusterExists(p field.Path, name string) error {
	if k.validate && k.ClusterKnown != nil && name != "" && !k.ClusterKnown(name) {
		return p.Wrap(fmt.Errorf("unknown cluster %q", name))
	}
	return nil
}
