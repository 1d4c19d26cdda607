// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package route

import (
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	templaterewritev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/rewrite/uri_template/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/lb"
	"github.com/weirproxy/weir/xds/protos"
)

const defaultTimeout = 15 * time.Second

// subsetNamespace is the metadata that load balancers look at.
const subsetNamespace = "envoy.lb"

func (k *compiler) forward(p field.Path, c *routev3.RouteAction, e *Entry, inherited *defaults) (*Forward, error) {
	if err := field.Only(p, c, "cluster", "cluster_header", "weighted_clusters", "cluster_not_found_response_code", "metadata_match",
		"prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite", "host_rewrite", "host_rewrite_literal", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex",
		"append_x_forwarded_host", "timeout", "idle_timeout", "flush_timeout", "retry_policy", "request_mirror_policies", "priority",
		"rate_limits", "include_vh_rate_limits", "hash_policy", "max_grpc_timeout", "grpc_timeout_offset", "upgrade_configs",
		"internal_redirect_policy", "internal_redirect_action", "max_internal_redirects", "hedge_policy", "max_stream_duration", "early_data_policy"); err != nil {
		return nil, err
	}
	// The default policy is about requests before the end of a handshake, which
	// only HTTP/3 has.
	const earlyData = "envoy.extensions.early_data.v3.DefaultEarlyDataPolicy"
	if x := c.GetEarlyDataPolicy(); x != nil && protos.TypeName(x.GetTypedConfig()) != earlyData {
		return nil, p.Dot("early_data_policy").Errorf("weir has no early data policy %q", protos.TypeName(x.GetTypedConfig()))
	}
	f := &Forward{
		ClusterNotFoundCode: clusterNotFoundCode(c.GetClusterNotFoundResponseCode()),
		HighPriority:        c.GetPriority() == corev3.RoutingPriority_HIGH,
		IncludeVHRateLimits: c.GetIncludeVhRateLimits().GetValue(),
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
	if err := k.rewrites(p, c, e, f); err != nil {
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

// headerName is a header's name as HeaderMaps have it.
func headerName(name string) string {
	if name = matcher.LowerASCII(name); name == "host" {
		return ":authority"
	}
	return name
}

// subset is the part of metadata_match that load balancers look at, sorted by
// key.
func subset(p field.Path, c *corev3.Metadata) ([]lb.MetadataCriterion, error) {
	if c == nil {
		return nil, nil
	}
	if err := field.Only(p.Dot("metadata_match"), c, "filter_metadata"); err != nil {
		return nil, err
	}
	return lb.MergeCriteria(nil, c.GetFilterMetadata()[subsetNamespace].AsMap()), nil
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
	if f.MaxGrpcTimeout, err = duration(p, "max_grpc_timeout", c.GetMaxGrpcTimeout(), Unset); err != nil {
		return err
	}
	if f.GrpcTimeoutOffset, err = duration(p, "grpc_timeout_offset", c.GetGrpcTimeoutOffset(), 0); err != nil {
		return err
	}
	d := c.GetMaxStreamDuration()
	if d == nil {
		f.MaxStreamDuration, f.GrpcTimeoutHeaderMax = Unset, Unset
		return nil
	}
	f.NewTimeouts = true
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

func (k *compiler) rewrites(p field.Path, c *routev3.RouteAction, e *Entry, f *Forward) (err error) {
	if c.GetPathRewrite() != "" {
		if c.GetPrefixRewrite() != "" || c.GetRegexRewrite() != nil || c.GetPathRewritePolicy() != nil {
			return p.Errorf("only one of prefix_rewrite, regex_rewrite, path_rewrite_policy and path_rewrite may be set")
		}
		if f.pathRewrite.format, err = formatter.CompileHeader(p.Dot("path_rewrite"), c.GetPathRewrite()); err != nil {
			return err
		}
	}
	if c.GetPathRewritePolicy() != nil {
		if c.GetPrefixRewrite() != "" || c.GetRegexRewrite() != nil {
			return p.Errorf("only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set")
		}
		if f.pathRewrite.template, err = rewriteTemplate(p.Dot("path_rewrite_policy.typed_config"), c.GetPathRewritePolicy(), &e.path); err != nil {
			return err
		}
	}
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
	case *routev3.RouteAction_HostRewrite:
		// A missing value shows as "-" here, and as nothing in a path.
		f.hostRewrite.format, err = formatter.Compile(p.Dot("host_rewrite"), h.HostRewrite)
	case *routev3.RouteAction_HostRewritePathRegex:
		f.hostRewrite.pathRegex, err = matcher.NewSubstitution(p.Dot("host_rewrite_path_regex"), h.HostRewritePathRegex, k.regexes)
	}
	return err
}

// rewriteTemplate compiles a path_rewrite_policy, which needs a
// path_match_policy.
func rewriteTemplate(p field.Path, x *corev3.TypedExtensionConfig, m *pathMatch) (*templateRewrite, error) {
	const template = "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig"
	if name := protos.TypeName(x.GetTypedConfig()); name != template {
		return nil, p.Errorf("weir has no path rewriter %q", name)
	}
	c := &templaterewritev3.UriTemplateRewriteConfig{}
	if err := protos.Unpack(p, x.GetTypedConfig(), c); err != nil {
		return nil, err
	}
	if m.template == "" {
		return nil, p.Errorf("a path template rewrite needs a path_match_policy with a path template")
	}
	w, err := newTemplateRewrite(m.template, c.GetPathTemplateRewrite())
	return w, p.Dot("path_template_rewrite").Wrap(err)
}
