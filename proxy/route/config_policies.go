// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package route

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	allowlistedroutesv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/internal_redirect/allow_listed_routes/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/xds/protos"
)

func (k *compiler) policies(p field.Path, c *routev3.RouteAction, f *Forward) (err error) {
	if c.GetRetryPolicy() != nil {
		if f.Retry, err = k.retryPolicy(p, c.GetRetryPolicy()); err != nil {
			return err
		}
	}
	if c.GetHedgePolicy() != nil {
		if f.Hedge, err = hedgePolicy(p, c.GetHedgePolicy()); err != nil {
			return err
		}
	}
	if len(c.GetRequestMirrorPolicies()) > 0 {
		if f.Mirrors, err = k.mirrorPolicies(p, c.GetRequestMirrorPolicies()); err != nil {
			return err
		}
	}
	if f.RateLimits, err = k.rateLimits(p, c.GetRateLimits()); err != nil {
		return err
	}
	if f.Hash, err = k.hashPolicy(p, c.GetHashPolicy()); err != nil {
		return err
	}
	if f.InternalRedirect, err = internalRedirect(p, c); err != nil {
		return err
	}
	f.Upgrades, err = upgrades(p, c.GetUpgradeConfigs())
	return err
}

func upgrades(p field.Path, cs []*routev3.RouteAction_UpgradeConfig) ([]Upgrade, error) {
	var out []Upgrade
	for i, u := range cs {
		up := p.Dot("upgrade_configs").Index(i)
		if err := field.Only(up, u, "upgrade_type", "enabled", "connect_config"); err != nil {
			return nil, err
		}
		c := u.GetConnectConfig()
		if err := field.Only(up.Dot("connect_config"), c, "allow_post", "proxy_protocol_config"); err != nil {
			return nil, err
		}
		upgrade := Upgrade{
			Type:             strings.ToLower(u.GetUpgradeType()),
			Enabled:          isOrUnset(u.GetEnabled()),
			TerminateConnect: c != nil,
			AllowPost:        c.GetAllowPost(),
		}
		if pp := c.GetProxyProtocolConfig(); pp != nil {
			if err := field.Only(up.Dot("connect_config.proxy_protocol_config"), pp, "version"); err != nil {
				return nil, err
			}
			upgrade.ProxyProtocol = int(pp.GetVersion()) + 1
		}
		switch {
		case upgrade.TerminateConnect && upgrade.Type == "connect-udp":
			return nil, up.Dot("connect_config").Errorf("weir does not terminate CONNECT-UDP")
		case upgrade.TerminateConnect && upgrade.Type != "connect":
			return nil, up.Dot("connect_config").Errorf("only an upgrade of type CONNECT may have one, not %q", u.GetUpgradeType())
		}
		for _, other := range out {
			if other.Type == upgrade.Type {
				return nil, up.Dot("upgrade_type").Errorf("upgrade type %q appears twice", u.GetUpgradeType())
			}
		}
		out = append(out, upgrade)
	}
	return out, nil
}

func internalRedirect(p field.Path, c *routev3.RouteAction) (*InternalRedirect, error) {
	ip := c.GetInternalRedirectPolicy()
	if ip == nil {
		if c.GetInternalRedirectAction() != routev3.RouteAction_HANDLE_INTERNAL_REDIRECT {
			return nil, nil
		}
		r := &InternalRedirect{MaxRedirects: 1, Codes: []uint32{302}}
		if n := c.GetMaxInternalRedirects(); n != nil {
			r.MaxRedirects = n.GetValue()
		}
		return r, nil
	}
	p = p.Dot("internal_redirect_policy")
	if err := field.Only(p, ip, "max_internal_redirects", "redirect_response_codes", "allow_cross_scheme_redirect", "response_headers_to_copy", "predicates"); err != nil {
		return nil, err
	}
	r := &InternalRedirect{MaxRedirects: 1, AllowCrossScheme: ip.GetAllowCrossSchemeRedirect()}
	if n := ip.GetMaxInternalRedirects(); n != nil {
		r.MaxRedirects = n.GetValue()
	}
	for _, code := range ip.GetRedirectResponseCodes() {
		switch code {
		case 301, 302, 303, 307, 308:
			r.Codes = append(r.Codes, code)
		}
	}
	if len(r.Codes) == 0 {
		r.Codes = []uint32{302}
	}
	for _, name := range ip.GetResponseHeadersToCopy() {
		r.HeadersToCopy = append(r.HeadersToCopy, matcher.LowerASCII(name))
	}
	return r, redirectPredicates(p, ip, r)
}

func redirectPredicates(p field.Path, c *routev3.InternalRedirectPolicy, r *InternalRedirect) error {
	for i, x := range c.GetPredicates() {
		p := p.Dot("predicates").Index(i).Dot("typed_config")
		switch name := protos.TypeName(x.GetTypedConfig()); name {
		case "envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig":
			m := &allowlistedroutesv3.AllowListedRoutesConfig{}
			if err := protos.Unpack(p, x.GetTypedConfig(), m); err != nil {
				return err
			}
			r.AllowedRoutes = append([]string{}, m.GetAllowedRouteNames()...)
		case "envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig":
			r.NotPrevious = true
		case "envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig":
			r.SafeCrossScheme = true
		default:
			return p.Errorf("weir has no internal redirect predicate %q", or(name, x.GetName()))
		}
	}
	return nil
}

func (k *compiler) mirrorPolicies(p field.Path, cs []*routev3.RouteAction_RequestMirrorPolicy) ([]Mirror, error) {
	var out []Mirror
	for i, c := range cs {
		mp := p.Dot("request_mirror_policies").Index(i)
		if err := field.Only(mp, c, "cluster", "cluster_header", "runtime_fraction", "trace_sampled", "disable_shadow_host_suffix_append", "host_rewrite_literal",
			"request_headers_mutations"); err != nil {
			return nil, err
		}
		m := Mirror{
			Cluster:           c.GetCluster(),
			ClusterHeader:     headerName(c.GetClusterHeader()),
			Fraction:          k.runtimeFraction(c.GetRuntimeFraction()),
			TraceSampled:      boolOf(c.GetTraceSampled()),
			DisableHostSuffix: c.GetDisableShadowHostSuffixAppend(),
			HostRewrite:       c.GetHostRewriteLiteral(),
		}
		if (m.Cluster == "") == (m.ClusterHeader == "") {
			return nil, mp.Errorf("a mirror policy needs either cluster or cluster_header")
		}
		if err := k.clusterExists(mp.Dot("cluster"), m.Cluster); err != nil {
			return nil, err
		}
		if ms := c.GetRequestHeadersMutations(); len(ms) > 0 {
			var err error
			if m.Mutations, err = CompileMutations(mp.Dot("request_headers_mutations"), ms, k.CompileFormat); err != nil {
				return nil, err
			}
		}
		out = append(out, m)
	}
	return out, nil
}
