// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package rbac

import (
	"maps"
	"slices"

	xdsmatcherv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/cel"
	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/matcher/tree"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/xds/protos"
)

// Options tell what rules may look at.
type Options struct {
	HTTP    bool // headers, paths, routes
	Runtime fraction.Runtime
	Stats   *stats.Store
}

// New compiles rules at rulesPath, or a matcher tree at treePath, which goes
// before them. It returns nil when there is neither.
func New(rulesPath field.Path, rules *rbacv3.RBAC, treePath field.Path, matcherTree *xdsmatcherv3.Matcher, o Options) (*Engine, error) {
	switch {
	case matcherTree != nil:
		return newTree(treePath, matcherTree, o)
	case rules != nil:
		c := &compiler{Options: o, regexes: matcher.NewRegexes()}
		return c.rules(rulesPath, rules)
	}
	return nil, nil
}

func newTree(p field.Path, m *xdsmatcherv3.Matcher, o Options) (*Engine, error) {
	e := &Engine{}
	context := tree.Connections
	if o.HTTP {
		context = tree.RequestRules
	}
	var err error
	e.tree, err = tree.Compile(p, m, tree.Options[treeAction]{Context: context, Runtime: o.Runtime, Stats: o.Stats, Action: func(p field.Path, _ string, config *anypb.Any) (treeAction, error) {
		m, err := protos.UnpackAs[*rbacv3.Action](p, config)
		if err != nil {
			return treeAction{}, err
		}
		a, err := newAction(p.Dot("action"), m.GetAction())
		e.treeLogs = e.treeLogs || a == logOnly
		e.names = append(e.names, m.GetName())
		return treeAction{m.GetName(), m.GetName(), a}, err
	}})
	return e, err
}

func newAction(p field.Path, a rbacv3.RBAC_Action) (action, error) {
	switch a {
	case rbacv3.RBAC_ALLOW:
		return allow, nil
	case rbacv3.RBAC_DENY:
		return deny, nil
	case rbacv3.RBAC_LOG:
		return logOnly, nil
	}
	return deny, p.Errorf("weir does not know the action %v", a)
}

type compiler struct {
	Options
	regexes *matcher.Regexes
}

func (c *compiler) rules(p field.Path, m *rbacv3.RBAC) (*Engine, error) {
	if err := field.Only(p, m, "action", "policies"); err != nil {
		return nil, err
	}
	e := &Engine{}
	var err error
	if e.action, err = newAction(p.Dot("action"), m.GetAction()); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(m.GetPolicies())) {
		p, pm := p.Dot("policies").Key(name), m.GetPolicies()[name]
		if err := field.Only(p, pm, "permissions", "principals", "condition"); err != nil {
			return nil, err
		}
		out := policy{name: name, boxed: name}
		if out.permissions, err = c.permissions(p.Dot("permissions"), pm.GetPermissions()); err != nil {
			return nil, err
		}
		if out.principals, err = c.principals(p.Dot("principals"), pm.GetPrincipals()); err != nil {
			return nil, err
		}
		if pm.GetCondition() != nil {
			if out.condition, err = cel.CompileParsed(pm.GetCondition()); err != nil {
				return nil, p.Dot("condition").Wrap(err)
			}
		}
		e.policies, e.names = append(e.policies, out), append(e.names, name)
	}
	return e, nil
}

func (c *compiler) permissions(p field.Path, ms []*rbacv3.Permission) ([]rule, error) {
	out := make([]rule, len(ms))
	for i, m := range ms {
		var err error
		if out[i], err = c.permission(p.Index(i), m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) permission(p field.Path, m *rbacv3.Permission) (rule, error) {
	switch k := m.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		rs, err := c.permissions(p.Dot("and_rules.rules"), k.AndRules.GetRules())
		return and(rs), err
	case *rbacv3.Permission_OrRules:
		rs, err := c.permissions(p.Dot("or_rules.rules"), k.OrRules.GetRules())
		return or(rs), err
	case *rbacv3.Permission_NotRule:
		r, err := c.permission(p.Dot("not_rule"), k.NotRule)
		return not(r), err
	case *rbacv3.Permission_Any:
		return always, nil
	case *rbacv3.Permission_DestinationIp:
		return c.within(p.Dot("destination_ip"), k.DestinationIp, false)
	case *rbacv3.Permission_DestinationPort:
		return ports(int(k.DestinationPort), int(k.DestinationPort)+1), nil
	case *rbacv3.Permission_DestinationPortRange:
		return c.portRange(p.Dot("destination_port_range"), int(k.DestinationPortRange.GetStart()), int(k.DestinationPortRange.GetEnd()))
	case *rbacv3.Permission_RequestedServerName:
		s, err := matcher.NewString(p.Dot("requested_server_name"), k.RequestedServerName, c.regexes)
		return serverName(s), err
	case *rbacv3.Permission_Metadata:
		return c.metadata(p.Dot("metadata"), k.Metadata, rbacv3.MetadataSource_DYNAMIC)
	case *rbacv3.Permission_SourcedMetadata:
		return c.metadata(p.Dot("sourced_metadata.metadata_matcher"), k.SourcedMetadata.GetMetadataMatcher(), k.SourcedMetadata.GetMetadataSource())
	case *rbacv3.Permission_Header:
		if err := c.needHTTP(p.Dot("header")); err != nil {
			return nil, err
		}
		h, err := matcher.NewHeader(p.Dot("header"), k.Header, c.regexes)
		return header(h), err
	case *rbacv3.Permission_UrlPath:
		return c.urlPath(p.Dot("url_path"), k.UrlPath)
	case *rbacv3.Permission_UriTemplate:
		return c.uriTemplate(p.Dot("uri_template.typed_config"), k.UriTemplate)
	}
	if err := field.Only(p, m); err != nil {
		return nil, err
	}
	return nil, p.Errorf("a permission needs a rule")
}

func (c *compiler) principals(p field.Path, ms []*rbacv3.Principal) ([]rule, error) {
	out := make([]rule, len(ms))
	for i, m := range ms {
		var err error
		if out[i], err = c.principal(p.Index(i), m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) principal(p field.Path, m *rbacv3.Principal) (rule, error) {
	switch k := m.GetIdentifier().(type) {
	case *rbacv3.Principal_AndIds:
		rs, err := c.principals(p.Dot("and_ids.ids"), k.AndIds.GetIds())
		return and(rs), err
	case *rbacv3.Principal_OrIds:
		rs, err := c.principals(p.Dot("or_ids.ids"), k.OrIds.GetIds())
		return or(rs), err
	case *rbacv3.Principal_NotId:
		r, err := c.principal(p.Dot("not_id"), k.NotId)
		return not(r), err
	case *rbacv3.Principal_Any:
		return always, nil
	case *rbacv3.Principal_Authenticated_:
		if k.Authenticated.GetPrincipalName() == nil {
			return anyone, nil
		}
		s, err := matcher.NewString(p.Dot("authenticated.principal_name"), k.Authenticated.GetPrincipalName(), c.regexes)
		return named(s), err
	case *rbacv3.Principal_SourceIp:
		return c.direct(p.Dot("source_ip"), k.SourceIp)
	case *rbacv3.Principal_DirectRemoteIp:
		return c.direct(p.Dot("direct_remote_ip"), k.DirectRemoteIp)
	case *rbacv3.Principal_RemoteIp:
		return c.within(p.Dot("remote_ip"), k.RemoteIp, true)
	case *rbacv3.Principal_FilterState:
		s, err := matcher.NewFilterState(p.Dot("filter_state"), k.FilterState, c.regexes)
		return filterState(s), err
	case *rbacv3.Principal_Metadata:
		return c.metadata(p.Dot("metadata"), k.Metadata, rbacv3.MetadataSource_DYNAMIC)
	case *rbacv3.Principal_SourcedMetadata:
		return c.metadata(p.Dot("sourced_metadata.metadata_matcher"), k.SourcedMetadata.GetMetadataMatcher(), k.SourcedMetadata.GetMetadataSource())
	case *rbacv3.Principal_Header:
		if err := c.needHTTP(p.Dot("header")); err != nil {
			return nil, err
		}
		h, err := matcher.NewHeader(p.Dot("header"), k.Header, c.regexes)
		return header(h), err
	case *rbacv3.Principal_UrlPath:
		return c.urlPath(p.Dot("url_path"), k.UrlPath)
	}
	if err := field.Only(p, m); err != nil {
		return nil, err
	}
	return nil, p.Errorf("a principal needs an identifier")
}

func (c *compiler) needHTTP(p field.Path) error {
	if !c.HTTP {
		return p.Errorf("this looks at requests; connections have none")
	}
	return nil
}

func (c *compiler) within(p field.Path, m *corev3.CidrRange, ofRemote bool) (rule, error) {
	r, err := matcher.Range(p, m.GetAddressPrefix(), m.GetPrefixLen())
	if ofRemote {
		return within(r, remote), err
	}
	return within(r, local), err
}

func (c *compiler) direct(p field.Path, m *corev3.CidrRange) (rule, error) {
	r, err := matcher.Range(p, m.GetAddressPrefix(), m.GetPrefixLen())
	return within(r, directRemote), err
}

func (c *compiler) portRange(p field.Path, start, end int) (rule, error) {
	if start < 0 || end > 65536 || start >= end {
		return nil, p.Errorf("%d to %d is not a range of ports; the end is not part of it", start, end)
	}
	return ports(start, end), nil
}

func (c *compiler) urlPath(p field.Path, m *matcherv3.PathMatcher) (rule, error) {
	if err := c.needHTTP(p); err != nil {
		return nil, err
	}
	s, err := matcher.NewString(p.Dot("path"), m.GetPath(), c.regexes)
	return urlPath(s.Match), err
}

func (c *compiler) uriTemplate(p field.Path, x *corev3.TypedExtensionConfig) (rule, error) {
	if err := c.needHTTP(p); err != nil {
		return nil, err
	}
	template, err := matcher.UnpackPathTemplate(p, x)
	if err != nil {
		return nil, err
	}
	p = p.Dot("path_template")
	expr, err := matcher.PathTemplate(template)
	if err != nil {
		return nil, p.Wrap(err)
	}
	re, err := matcher.NewRegex(p, &matcherv3.RegexMatcher{Regex: expr}, c.regexes)
	return urlPath(re.Match), err
}

func (c *compiler) metadata(p field.Path, m *matcherv3.MetadataMatcher, source rbacv3.MetadataSource) (rule, error) {
	mm, err := matcher.NewMetadata(p, m, c.regexes)
	if err != nil {
		return nil, err
	}
	if source == rbacv3.MetadataSource_ROUTE {
		return routeMetadata(mm), c.needHTTP(p)
	}
	return dynamicMetadata(mm), nil
}
