package route

import (
	"errors"
	"fmt"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/stats"
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
	// Stats is for virtual clusters and routes with a stat_prefix. Without it
	// they count nothing.
	Stats *stats.Store
	// CompileFormat compiles a header value with substitution commands.
	// Without it, values with commands are refused.
	CompileFormat func(format string) (ValueFormatter, error)
}

// compiler holds what one compilation shares.
type compiler struct {
	Options
	regexes  *matcher.Regexes
	config   *Config
	maxBody  int64 // of direct responses, in bytes
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
		k.maxBody = int64(n.GetValue())
	}
	for _, name := range c.GetInternalOnlyHeaders() {
		cfg.internalOnlyHeaders = append(cfg.internalOnlyHeaders, matcher.LowerASCII(name))
	}
	if err := k.compile(p, c); err != nil {
		cfg.Close()
		return nil, err
	}
	return cfg, nil
}

func (k *compiler) compile(p field.Path, c *routev3.RouteConfiguration) (err error) {
	cfg := k.config
	if cfg.mutations, err = k.mutations(p, c); err != nil {
		return err
	}
	if cfg.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig()); err != nil {
		return err
	}
	if cfg.metadata, err = metadata(p, c.GetMetadata()); err != nil {
		return err
	}
	if k.mirrors, err = k.mirrorPolicies(p, c.GetRequestMirrorPolicies()); err != nil {
		return err
	}
	cfg.vhosts = make([]*VirtualHost, len(c.GetVirtualHosts()))
	for i, vc := range c.GetVirtualHosts() {
		vp := p.Dot("virtual_hosts").Index(i)
		if cfg.vhosts[i], err = k.virtualHost(vp, vc); err != nil {
			return err
		}
	}
	return nil
}

func (k *compiler) clusterExists(p field.Path, name string) error {
	if k.validate && k.ClusterKnown != nil && name != "" && !k.ClusterKnown(name) {
		return p.Wrap(fmt.Errorf("unknown cluster %q", name))
	}
	return nil
}
