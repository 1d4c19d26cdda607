package route

import (
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
)

const defaultTimeout = 15 * time.Second

// subsetNamespace is the metadata that load balancers look at.
const subsetNamespace = "envoy.lb"

func (k *compiler) forward(p field.Path, c *routev3.RouteAction, e *Entry, inherited *defaults) (*Forward, error) {
	if err := field.Only(p, c, "cluster", "cluster_header", "weighted_clusters", "cluster_not_found_response_code", "metadata_match",
		"prefix_rewrite", "regex_rewrite", "host_rewrite_literal", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex",
		"append_x_forwarded_host", "timeout", "idle_timeout", "flush_timeout", "retry_policy", "request_mirror_policies", "priority",
		"rate_limits", "include_vh_rate_limits", "hash_policy", "max_grpc_timeout", "grpc_timeout_offset", "upgrade_configs",
		"internal_redirect_policy", "internal_redirect_action", "max_internal_redirects", "hedge_policy", "max_stream_duration"); err != nil {
		return nil, err
	}
	f := &Forward{
		ClusterNotFoundCode: clusterNotFoundCode(c.GetClusterNotFoundResponseCode()),
		HighPriority:        c.GetPriority() == corev3.RoutingPriority_HIGH,
		IncludeVHRateLimits: c.GetIncludeVhRateLimits().GetValue(), //nolint:staticcheck // deprecated, but Envoy obeys it
		Retry:               inherited.retry,
		Hedge:               inherited.hedge,
		Mirrors:             inherited.mirrors,
	}
	var err error
	if f.metadataMatch, err = subset(p, c.GetMetadataMatch()); err != nil {
		return nil, err
	}
	if err := k.timeouts(p, c, f); err != nil {
		return nil, err
	}
	if err := k.rewrites(p, c, f); err != nil {
		return nil, err
	}
	if err := k.policies(p, c, f); err != nil {
		return nil, err
	}
	return f, k.cluster(p, c, e, f)
}

func clusterNotFoundCode(c routev3.RouteAction_ClusterNotFoundResponseCode) int {
	switch c {
	case routev3.RouteAction_NOT_FOUND:
		return 404
	case routev3.RouteAction_INTERNAL_SERVER_ERROR:
		return 500
	}
	return 503
}

func (k *compiler) cluster(p field.Path, c *routev3.RouteAction, e *Entry, f *Forward) error {
	switch s := c.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		if f.cluster = s.Cluster; f.cluster == "" {
			return p.Dot("cluster").Errorf("the cluster's name must not be empty")
		}
		return k.clusterExists(p.Dot("cluster"), f.cluster)
	case *routev3.RouteAction_ClusterHeader:
		if f.clusterHeader = headerName(s.ClusterHeader); f.clusterHeader == "" {
			return p.Dot("cluster_header").Errorf("the header's name must not be empty")
		}
		return nil
	case *routev3.RouteAction_WeightedClusters:
		var err error
		f.weighted, err = k.weightedClusters(p.Dot("weighted_clusters"), s.WeightedClusters, e, f)
		return err
	}
	return p.Errorf("a route action needs cluster, cluster_header or weighted_clusters")
}

func (k *compiler) weightedClusters(p field.Path, c *routev3.WeightedCluster, e *Entry, f *Forward) (*weightedClusters, error) {
	if err := field.Only(p, c, "clusters", "total_weight", "runtime_key_prefix", "header_name", "use_hash_policy"); err != nil {
		return nil, err
	}
	if len(c.GetClusters()) == 0 {
		return nil, p.Dot("clusters").Errorf("weighted_clusters needs at least one cluster")
	}
	w := &weightedClusters{clusters: make([]weightedCluster, len(c.GetClusters())), header: matcher.LowerASCII(c.GetHeaderName())}
	if c.GetUseHashPolicy().GetValue() {
		w.useHash = f.Hash
	}
	prefix := c.GetRuntimeKeyPrefix()
	if prefix != "" {
		w.runtime = k.Runtime
	}
	for i, cc := range c.GetClusters() {
		wc := &w.clusters[i]
		if err := k.weightedCluster(p.Dot("clusters").Index(i), cc, wc, f); err != nil {
			return nil, err
		}
		wc.route = Route{entry: e, cluster: wc}
		if prefix != "" {
			wc.runtimeKey = prefix + "." + wc.name
		}
		w.total += wc.weight
	}
	if w.total == 0 {
		return nil, p.Errorf("the sum of weights must be greater than 0")
	}
	if w.total > 1<<32-1 {
		return nil, p.Errorf("the sum of weights %d exceeds 4294967295", w.total)
	}
	if t := c.GetTotalWeight(); t != nil && uint64(t.GetValue()) != w.total { //nolint:staticcheck // deprecated
		return nil, p.Dot("total_weight").Errorf("total_weight is %d, but the weights add up to %d", t.GetValue(), w.total)
	}
	return w, nil
}

func (k *compiler) weightedCluster(p field.Path, c *routev3.WeightedCluster_ClusterWeight, w *weightedCluster, f *Forward) error {
	if err := field.Only(p, c, "name", "cluster_header", "weight", "metadata_match", "request_headers_to_add", "request_headers_to_remove",
		"response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config", "host_rewrite_literal"); err != nil {
		return err
	}
	w.name, w.header = c.GetName(), headerName(c.GetClusterHeader())
	w.weight, w.hostRewrite = uint64(c.GetWeight().GetValue()), c.GetHostRewriteLiteral()
	if (w.name == "") == (w.header == "") {
		return p.Errorf("a weighted cluster needs either name or cluster_header")
	}
	if err := k.clusterExists(p.Dot("name"), w.name); err != nil {
		return err
	}
	own, err := subset(p, c.GetMetadataMatch())
	if err != nil {
		return err
	}
	if own != nil {
		for key, value := range f.metadataMatch {
			if _, has := own[key]; !has {
				own[key] = value
			}
		}
		w.metadataMatch = own
	}
	if w.mutations, err = k.mutations(p, c); err != nil {
		return err
	}
	w.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig())
	return err
}

// headerName is a header's name as HeaderMaps have it.
func headerName(name string) string {
	if name = matcher.LowerASCII(name); name == "host" {
		return ":authority"
	}
	return name
}

// subset is the part of metadata_match that load balancers look at.
func subset(p field.Path, c *corev3.Metadata) (map[string]any, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p.Dot("metadata_match"), c, "filter_metadata"); err != nil {
		return nil, err
	}
	if s := c.GetFilterMetadata()[subsetNamespace]; s != nil {
		return s.AsMap(), nil
	}
	return nil, nil
}

func (k *compiler) timeouts(p field.Path, c *routev3.RouteAction, f *Forward) (err error) {
	if f.Timeout, err = duration(p, "timeout", c.GetTimeout(), defaultTimeout); err != nil {
		return err
	}
	if f.IdleTimeout, err = duration(p, "idle_timeout", c.GetIdleTimeout(), Unset); err != nil {
		return err
	}
	if f.FlushTimeout, err = duration(p, "flush_timeout", c.GetFlushTimeout(), Unset); err != nil {
		return err
	}
	if f.MaxGrpcTimeout, err = duration(p, "max_grpc_timeout", c.GetMaxGrpcTimeout(), Unset); err != nil { //nolint:staticcheck // deprecated
		return err
	}
	if f.GrpcTimeoutOffset, err = duration(p, "grpc_timeout_offset", c.GetGrpcTimeoutOffset(), 0); err != nil { //nolint:staticcheck // deprecated
		return err
	}
	d := c.GetMaxStreamDuration()
	if d == nil {
		f.MaxStreamDuration, f.GrpcTimeoutHeaderMax = Unset, Unset
		return nil
	}
	dp := p.Dot("max_stream_duration")
	if err := field.Only(dp, d, "max_stream_duration", "grpc_timeout_header_max", "grpc_timeout_header_offset"); err != nil {
		return err
	}
	if f.MaxStreamDuration, err = duration(dp, "max_stream_duration", d.GetMaxStreamDuration(), Unset); err != nil {
		return err
	}
	if f.GrpcTimeoutHeaderMax, err = duration(dp, "grpc_timeout_header_max", d.GetGrpcTimeoutHeaderMax(), Unset); err != nil {
		return err
	}
	f.GrpcTimeoutHeaderOffset, err = duration(dp, "grpc_timeout_header_offset", d.GetGrpcTimeoutHeaderOffset(), 0)
	return err
}

func (k *compiler) rewrites(p field.Path, c *routev3.RouteAction, f *Forward) (err error) {
	if c.GetPrefixRewrite() != "" && c.GetRegexRewrite() != nil {
		return p.Errorf("only one of prefix_rewrite and regex_rewrite may be set")
	}
	if c.GetPrefixRewrite() != "" {
		prefix := c.GetPrefixRewrite()
		f.pathRewrite.prefix = &prefix
	}
	if c.GetRegexRewrite() != nil {
		if f.pathRewrite.regex, err = matcher.NewSubstitution(p.Dot("regex_rewrite"), c.GetRegexRewrite(), k.regexes); err != nil {
			return err
		}
	}
	f.hostRewrite.appendXFH = c.GetAppendXForwardedHost()
	switch h := c.GetHostRewriteSpecifier().(type) {
	case *routev3.RouteAction_HostRewriteLiteral:
		f.hostRewrite.literal = h.HostRewriteLiteral
	case *routev3.RouteAction_AutoHostRewrite:
		f.AutoHostRewrite = h.AutoHostRewrite.GetValue()
	case *routev3.RouteAction_HostRewriteHeader:
		f.hostRewrite.header = headerName(h.HostRewriteHeader)
	case *routev3.RouteAction_HostRewritePathRegex:
		f.hostRewrite.pathRegex, err = matcher.NewSubstitution(p.Dot("host_rewrite_path_regex"), h.HostRewritePathRegex, k.regexes)
	}
	return err
}

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
	for i, u := range c.GetUpgradeConfigs() {
		up := p.Dot("upgrade_configs").Index(i)
		if err := field.Only(up, u, "upgrade_type", "enabled", "connect_config"); err != nil {
			return err
		}
		if err := field.Only(up.Dot("connect_config"), u.GetConnectConfig(), "allow_post"); err != nil {
			return err
		}
		upgrade := Upgrade{
			Type:             strings.ToLower(u.GetUpgradeType()),
			Enabled:          u.GetEnabled() == nil || u.GetEnabled().GetValue(),
			TerminateConnect: u.GetConnectConfig() != nil,
			AllowPost:        u.GetConnectConfig().GetAllowPost(),
		}
		if upgrade.TerminateConnect && upgrade.Type != "connect" && upgrade.Type != "connect-udp" {
			return up.Dot("connect_config").Errorf("only an upgrade of type CONNECT or CONNECT-UDP may have one, not %q", u.GetUpgradeType())
		}
		for _, other := range f.Upgrades {
			if other.Type == upgrade.Type {
				return up.Dot("upgrade_type").Errorf("upgrade type %q appears twice", u.GetUpgradeType())
			}
		}
		f.Upgrades = append(f.Upgrades, upgrade)
	}
	return nil
}

func internalRedirect(p field.Path, c *routev3.RouteAction) (*InternalRedirect, error) {
	ip := c.GetInternalRedirectPolicy()
	if ip == nil {
		//nolint:staticcheck // deprecated, but Envoy obeys it
		if c.GetInternalRedirectAction() != routev3.RouteAction_HANDLE_INTERNAL_REDIRECT {
			return nil, nil
		}
		r := &InternalRedirect{MaxRedirects: 1, Codes: []uint32{302}}
		if n := c.GetMaxInternalRedirects(); n != nil { //nolint:staticcheck // deprecated
			r.MaxRedirects = n.GetValue()
		}
		return r, nil
	}
	p = p.Dot("internal_redirect_policy")
	if err := field.Only(p, ip, "max_internal_redirects", "redirect_response_codes", "allow_cross_scheme_redirect", "response_headers_to_copy"); err != nil {
		return nil, err
	}
	r := &InternalRedirect{MaxRedirects: 1, AllowCrossScheme: ip.GetAllowCrossSchemeRedirect()}
	if n := ip.GetMaxInternalRedirects(); n != nil {
		r.MaxRedirects = n.GetValue()
	}
	for i, code := range ip.GetRedirectResponseCodes() {
		switch code {
		case 301, 302, 303, 307, 308:
			r.Codes = append(r.Codes, code)
		default:
			return nil, p.Dot("redirect_response_codes").Index(i).Errorf("%d is not one of 301, 302, 303, 307, 308", code)
		}
	}
	if len(r.Codes) == 0 {
		r.Codes = []uint32{302}
	}
	for _, name := range ip.GetResponseHeadersToCopy() {
		r.HeadersToCopy = append(r.HeadersToCopy, matcher.LowerASCII(name))
	}
	return r, nil
}

func (k *compiler) mirrorPolicies(p field.Path, cs []*routev3.RouteAction_RequestMirrorPolicy) ([]Mirror, error) {
	var out []Mirror
	for i, c := range cs {
		mp := p.Dot("request_mirror_policies").Index(i)
		if err := field.Only(mp, c, "cluster", "cluster_header", "runtime_fraction", "trace_sampled", "disable_shadow_host_suffix_append", "host_rewrite_literal"); err != nil {
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
		out = append(out, m)
	}
	return out, nil
}
