package route

import (
	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/tracing"
	"github.com/weirproxy/weir/xds/protos"
)

func (k *compiler) virtualHost(p field.Path, c *routev3.VirtualHost) (*VirtualHost, error) {
	if err := field.Only(p, c, "name", "domains", "routes", "require_tls", "virtual_clusters", "rate_limits", "request_headers_to_add",
		"request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config",
		"include_request_attempt_count", "include_attempt_count_in_response", "retry_policy", "hedge_policy",
		"include_is_timeout_retry_header", "per_request_buffer_limit_bytes", "request_body_buffer_limit",
		"request_mirror_policies", "metadata", "matcher"); err != nil {
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
	if v.virtualClusters, err = k.virtualClusters(p, c); err != nil {
		return nil, err
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
	if c.GetMatcher() != nil {
		if len(c.GetRoutes()) > 0 {
			return nil, p.Dot("matcher").Errorf("a virtual host has either routes or matcher")
		}
		v.tree, err = k.routeTree(p.Dot("matcher"), c.GetMatcher(), v, &inherited)
		return v, err
	}
	if v.entries, err = k.entries(p.Dot("routes"), c.GetRoutes(), v, &inherited); err != nil {
		return nil, err
	}
	v.index = buildIndex(v.entries)
	return v, nil
}

func (k *compiler) entries(p field.Path, cs []*routev3.Route, v *VirtualHost, inherited *defaults) ([]Entry, error) {
	out := make([]Entry, len(cs))
	for i, rc := range cs {
		e := &out[i]
		e.vhost = v
		e.self.entry = e
		if err := k.entry(p.Index(i), rc, e, inherited); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// routeTree compiles a virtual host's matcher, whose actions are routes or
// lists of routes.
func (k *compiler) routeTree(p field.Path, m *xdsmatcherv3.Matcher, v *VirtualHost, inherited *defaults) (*tree.Tree[[]Entry], error) {
	return tree.Compile(p, m, tree.Options[[]Entry]{Context: tree.Routes, Runtime: fraction.Runtime(k.Runtime), Action: func(p field.Path, _ string, config *anypb.Any) ([]Entry, error) {
		switch name := protos.TypeName(config); name {
		case "envoy.config.route.v3.Route":
			r := &routev3.Route{}
			if err := protos.Unpack(p, config, r); err != nil {
				return nil, err
			}
			return k.entries(p, []*routev3.Route{r}, v, inherited)
		case "envoy.config.route.v3.RouteList":
			l := &routev3.RouteList{}
			if err := protos.Unpack(p, config, l); err != nil {
				return nil, err
			}
			return k.entries(p.Dot("routes"), l.GetRoutes(), v, inherited)
		default:
			return nil, p.Errorf("the action of a virtual host's matcher is a Route or a RouteList, not %q", name)
		}
	}})
}

// virtualClusters compiles the virtual clusters, and the one for the rest.
func (k *compiler) virtualClusters(p field.Path, c *routev3.VirtualHost) ([]VirtualCluster, error) {
	var out []VirtualCluster
	for i, vc := range c.GetVirtualClusters() {
		p := p.Dot("virtual_clusters").Index(i)
		if len(vc.GetHeaders()) == 0 {
			return nil, p.Dot("headers").Errorf("a virtual cluster needs at least one header matcher")
		}
		headers, err := matcher.NewHeaders(p.Dot("headers"), vc.GetHeaders(), k.regexes)
		if err != nil {
			return nil, err
		}
		out = append(out, VirtualCluster{Name: vc.GetName(), headers: headers})
	}
	if len(out) > 0 {
		out = append(out, VirtualCluster{Name: "other", Rest: true})
	}
	for i := range out {
		out[i].stats = k.group("vhost." + c.GetName() + ".vcluster." + out[i].Name + ".")
	}
	return out, nil
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
	e.extras = &extras{bufferLimit: limit}
	if c.GetStatPrefix() != "" {
		e.extras.stats = k.group("vhost." + e.vhost.name + ".route." + c.GetStatPrefix() + ".")
	}
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
	if err := field.Only(p.Dot("tracing"), c, "client_sampling", "random_sampling", "overall_sampling", "custom_tags", "operation", "upstream_operation"); err != nil {
		return nil, err
	}
	spans, err := tracing.CompileRoute(p.Dot("tracing"), c)
	if err != nil {
		return nil, err
	}
	return &Tracing{
		Spans:   spans,
		Client:  k.fraction(c.GetClientSampling(), ""),
		Random:  k.fraction(c.GetRandomSampling(), ""),
		Overall: k.fraction(c.GetOverallSampling(), ""),
	}, nil
}
