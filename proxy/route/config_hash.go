package route

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

func (k *compiler) hashPolicy(p field.Path, cs []*routev3.RouteAction_HashPolicy) (*HashPolicy, error) {
	if len(cs) == 0 {
		return nil, nil
	}
	out := &HashPolicy{methods: make([]hashMethod, len(cs))}
	for i, c := range cs {
		m, err := k.hashMethod(p.Dot("hash_policy").Index(i), c)
		if err != nil {
			return nil, err
		}
		out.methods[i] = m
	}
	return out, nil
}

func (k *compiler) hashMethod(p field.Path, c *routev3.RouteAction_HashPolicy) (m hashMethod, err error) {
	if err := field.Only(p, c, "header", "cookie", "connection_properties", "query_parameter", "filter_state", "terminal"); err != nil {
		return m, err
	}
	m.terminal = c.GetTerminal()
	switch s := c.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		if err := field.Only(p.Dot("header"), s.Header, "header_name", "regex_rewrite"); err != nil {
			return m, err
		}
		m.kind, m.name = hashHeader, headerName(s.Header.GetHeaderName())
		if s.Header.GetRegexRewrite() != nil {
			m.rewrite, err = matcher.NewSubstitution(p.Dot("header").Dot("regex_rewrite"), s.Header.GetRegexRewrite(), k.regexes)
		}
	case *routev3.RouteAction_HashPolicy_Cookie_:
		m.kind, m.name = hashCookie, s.Cookie.GetName()
		m.cookie, err = newCookie(p.Dot("cookie"), s.Cookie)
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		if m.kind = hashNothing; s.ConnectionProperties.GetSourceIp() {
			m.kind, m.name = hashSourceIP, "source_ip"
		}
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		m.kind, m.name = hashQuery, s.QueryParameter.GetName()
	case *routev3.RouteAction_HashPolicy_FilterState_:
		m.kind, m.name = hashFilterState, s.FilterState.GetKey()
	default:
		err = p.Errorf("a hash policy needs a specifier")
	}
	if err == nil && m.name == "" && m.kind != hashNothing {
		err = p.Errorf("a hash policy needs the name of what it hashes")
	}
	return m, err
}

func newCookie(p field.Path, c *routev3.RouteAction_HashPolicy_Cookie) (*cookie, error) {
	if err := field.Only(p, c, "name", "ttl", "path", "attributes"); err != nil {
		return nil, err
	}
	ttl, err := duration(p, "ttl", c.GetTtl(), 0)
	if err != nil {
		return nil, err
	}
	var attributes strings.Builder
	for _, a := range c.GetAttributes() {
		cookieAttribute(&attributes, a.GetName(), a.GetValue())
	}
	return &cookie{make: c.GetTtl() != nil, ttl: ttl, path: c.GetPath(), attributes: attributes.String()}, nil
}
