package route

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

func (k *compiler) match(p field.Path, c *routev3.RouteMatch, e *Entry) error {
	if err := field.Only(p, c, "prefix", "path", "path_separated_prefix", "safe_regex", "connect_matcher", "path_match_policy", "case_sensitive",
		"runtime_fraction", "headers", "query_parameters", "cookies", "grpc", "tls_context", "dynamic_metadata", "filter_state"); err != nil {
		return err
	}
	var err error
	if e.path, err = k.pathMatch(p, c); err != nil {
		return err
	}
	e.conditions, err = k.conditions(p, c)
	return err
}

func (k *compiler) pathMatch(p field.Path, c *routev3.RouteMatch) (pathMatch, error) {
	m := pathMatch{fold: c.GetCaseSensitive() != nil && !c.GetCaseSensitive().GetValue()}
	switch s := c.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		m.kind, m.value = pathPrefix, s.Prefix
	case *routev3.RouteMatch_Path:
		m.kind, m.value = pathExact, s.Path
	case *routev3.RouteMatch_PathSeparatedPrefix:
		m.kind, m.value = pathSeparatedPrefix, s.PathSeparatedPrefix
		if len(m.value) < 2 || m.value[0] != '/' || strings.HasSuffix(m.value, "/") || strings.ContainsAny(m.value, "?#") {
			return m, p.Dot("path_separated_prefix").Errorf("%q must start with /, not end with it, and have no ? or #", m.value)
		}
	case *routev3.RouteMatch_SafeRegex:
		regex, err := matcher.NewRegex(p.Dot("safe_regex"), s.SafeRegex, k.regexes)
		if err != nil {
			return m, err
		}
		m.kind, m.regex, m.value = pathRegex, &regex, s.SafeRegex.GetRegex()
		return m, nil
	case *routev3.RouteMatch_PathMatchPolicy:
		return k.pathTemplate(p.Dot("path_match_policy.typed_config"), s.PathMatchPolicy)
	case *routev3.RouteMatch_ConnectMatcher_:
		m.kind = pathConnect
	default:
		return m, p.Errorf("a route match needs a path specifier: prefix, path, path_separated_prefix, safe_regex or connect_matcher, path_match_policy")
	}
	if m.fold {
		m.value = matcher.LowerASCII(m.value)
	}
	return m, nil
}

// pathTemplate compiles a path_match_policy.
func (k *compiler) pathTemplate(p field.Path, x *corev3.TypedExtensionConfig) (m pathMatch, err error) {
	template, err := matcher.UnpackPathTemplate(p, x)
	if err != nil {
		return m, err
	}
	if m.template, err = matcher.PathTemplate(template); err != nil {
		return m, p.Dot("path_template").Wrap(err)
	}
	regex, err := matcher.NewRegex(p.Dot("path_template"), &matcherv3.RegexMatcher{Regex: m.template}, k.regexes)
	m.kind, m.regex, m.value = pathRegex, &regex, template
	return m, err
}

// conditions is nil when the match is by path only.
func (k *compiler) conditions(p field.Path, c *routev3.RouteMatch) (*conditions, error) {
	if c.GetRuntimeFraction() == nil && len(c.GetHeaders()) == 0 && len(c.GetQueryParameters()) == 0 && len(c.GetCookies()) == 0 &&
		c.GetGrpc() == nil && c.GetTlsContext() == nil && len(c.GetDynamicMetadata()) == 0 && len(c.GetFilterState()) == 0 {
		return nil, nil
	}
	m := &conditions{fraction: k.runtimeFraction(c.GetRuntimeFraction()), grpc: c.GetGrpc() != nil}
	var err error
	if m.headers, err = matcher.NewHeaders(p.Dot("headers"), c.GetHeaders(), k.regexes); err != nil {
		return nil, err
	}
	if m.query, err = matcher.NewQueryParameters(p.Dot("query_parameters"), c.GetQueryParameters(), k.regexes); err != nil {
		return nil, err
	}
	if m.cookies, err = matcher.NewCookies(p.Dot("cookies"), c.GetCookies(), k.regexes); err != nil {
		return nil, err
	}
	if t := c.GetTlsContext(); t != nil {
		m.tls = &tlsCondition{presented: boolOf(t.GetPresented()), validated: boolOf(t.GetValidated())}
	}
	for i, mc := range c.GetDynamicMetadata() {
		mm, err := matcher.NewMetadata(p.Dot("dynamic_metadata").Index(i), mc, k.regexes)
		if err != nil {
			return nil, err
		}
		m.metadata = append(m.metadata, mm)
	}
	for i, fc := range c.GetFilterState() {
		fm, err := matcher.NewFilterState(p.Dot("filter_state").Index(i), fc, k.regexes)
		if err != nil {
			return nil, err
		}
		m.filterState = append(m.filterState, fm)
	}
	return m, nil
}
