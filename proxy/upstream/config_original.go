package upstream

import (
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// originalConfig is how an ORIGINAL_DST cluster finds destinations.
type originalConfig struct {
	header  string // "" when not from a header; lower case
	port    uint16 // replaces the destination's, 0: it stays
	cleanup time.Duration
	// metadata is where the destination may be; nil: nowhere.
	metadata *lb.MetadataPath
}

func originalFields(p field.Path, c *clusterv3.Cluster) (*originalConfig, error) {
	o := &originalConfig{cleanup: 5 * time.Second}
	if c.GetLbPolicy() != clusterv3.Cluster_CLUSTER_PROVIDED {
		return nil, p.Dot("lb_policy").Errorf("%v, but a cluster of type ORIGINAL_DST takes no other than CLUSTER_PROVIDED", c.GetLbPolicy())
	}
	if err := positive(p.Dot("cleanup_interval"), c.GetCleanupInterval(), &o.cleanup); err != nil {
		return nil, err
	}
	cfg, p := c.GetOriginalDstLbConfig(), p.Dot("original_dst_lb_config")
	if err := field.Only(p, cfg, "use_http_header", "http_header_name", "upstream_port_override", "metadata_key"); err != nil {
		return nil, err
	}
	var err error
	if o.metadata, err = lb.NewMetadataPath(p.Dot("metadata_key"), cfg.GetMetadataKey()); err != nil {
		return nil, err
	}
	if cfg.GetUseHttpHeader() {
		if o.header = strings.ToLower(cfg.GetHttpHeaderName()); o.header == "" {
			o.header = "x-envoy-original-dst-host"
		}
	} else if cfg.GetHttpHeaderName() != "" {
		return nil, p.Dot("http_header_name").Errorf("set, but use_http_header is not")
	}
	if v := cfg.GetUpstreamPortOverride(); v != nil {
		if v.GetValue() > 65535 {
			return nil, p.Dot("upstream_port_override").Errorf("%d is not a port", v.GetValue())
		}
		o.port = uint16(v.GetValue())
	}
	return o, nil
}
