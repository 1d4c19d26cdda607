// Fields that Envoy calls deprecated but obeys are obeyed here too.
//
//lint:file-ignore SA1019 see above

package route

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

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
	return w, nil
}

func (k *compiler) weightedCluster(p field.Path, c *routev3.WeightedCluster_ClusterWeight, w *weightedCluster, f *Forward) error {
	if err := field.Only(p, c, "name", "cluster_header", "weight", "metadata_match", "request_headers_to_add", "request_headers_to_remove",
		"response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config", "host_rewrite_literal"); err != nil {
		return err
	}
	w.name, w.header = c.GetName(), headerName(c.GetClusterHeader())
	if c.GetWeight() == nil {
		return p.Dot("weight").Errorf("missing")
	}
	w.weight, w.hostRewrite = uint64(c.GetWeight().GetValue()), c.GetHostRewriteLiteral()
	if (w.name == "") == (w.header == "") {
		return p.Errorf("a weighted cluster needs either name or cluster_header")
	}
	if err := k.clusterExists(p.Dot("name"), w.name); err != nil {
		return err
	}
	if _, err := subset(p, c.GetMetadataMatch()); err != nil {
		return err
	}
	if m := c.GetMetadataMatch().GetFilterMetadata()[subsetNamespace]; m != nil {
		w.metadataMatch = lb.MergeCriteria(f.metadataMatch, m.AsMap())
	}
	var err error
	if w.mutations, err = k.mutations(p, c); err != nil {
		return err
	}
	w.filterConfigs, err = k.filterConfigs(p, c.GetTypedPerFilterConfig())
	return err
}
