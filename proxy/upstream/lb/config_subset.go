package lb

import (
	"cmp"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weirproxy/weir/internal/field"
)

var subsetFields = []string{
	"fallback_policy", "default_subset", "subset_selectors", "locality_weight_aware", "scale_locality_weight", "panic_mode_any",
	"list_as_any", "metadata_fallback_policy",
}

func legacySubset(p field.Path, m *clusterv3.Cluster_LbSubsetConfig, inner Policy) (Policy, error) {
	s := &Subset{
		Inner: inner, Fallback: clusterFallback(int32(m.GetFallbackPolicy())),
		FallbackList: m.GetMetadataFallbackPolicy() == clusterv3.Cluster_LbSubsetConfig_FALLBACK_LIST,
	}
	if err := field.Only(p, m, subsetFields...); err != nil {
		return nil, err
	}
	return s, subset(p, s, m, m.GetSubsetSelectors(), func(x *clusterv3.Cluster_LbSubsetConfig_LbSubsetSelector) int32 { return int32(x.GetFallbackPolicy()) })
}

func (k *compiler) subsetExtension(p field.Path, m *subsetv3.Subset) (Policy, error) {
	s := &Subset{
		Fallback: clusterFallback(int32(m.GetFallbackPolicy())), AllowRedundant: m.GetAllowRedundantKeys(),
		FallbackList: m.GetMetadataFallbackPolicy() == subsetv3.Subset_FALLBACK_LIST,
	}
	if err := field.Only(p, m, append([]string{"allow_redundant_keys", "subset_lb_policy"}, subsetFields...)...); err != nil {
		return nil, err
	}
	var err error
	if s.Inner, err = k.extensions(p.Dot("subset_lb_policy"), m.GetSubsetLbPolicy()); err != nil {
		return nil, err
	}
	if s.Inner == nil {
		return nil, p.Dot("subset_lb_policy").Errorf("CLUSTER_PROVIDED has no subsets")
	}
	return s, subset(p, s, m, m.GetSubsetSelectors(), func(x *subsetv3.Subset_LbSubsetSelector) int32 { return int32(x.GetFallbackPolicy()) })
}

// subsetConfig and selectorConfig are what the cluster's messages and the
// extension's have in common.
type subsetConfig interface {
	GetDefaultSubset() *structpb.Struct
	GetLocalityWeightAware() bool
	GetScaleLocalityWeight() bool
	GetPanicModeAny() bool
	GetListAsAny() bool
}

type selectorConfig interface {
	proto.Message
	GetKeys() []string
	GetSingleHostPerSubset() bool
	GetFallbackKeysSubset() []string
}

func subset[S selectorConfig](p field.Path, s *Subset, m subsetConfig, selectors []S, fallback func(S) int32) error {
	s.LocalityWeights, s.ScaleWeights = m.GetLocalityWeightAware(), m.GetScaleLocalityWeight()
	s.PanicAny, s.ListAsAny = m.GetPanicModeAny(), m.GetListAsAny()
	s.Default = MergeCriteria(nil, m.GetDefaultSubset().AsMap())
	if s.ScaleWeights && !s.LocalityWeights {
		s.ScaleWeights = false
	}
	for i, x := range selectors {
		p := p.Dot("subset_selectors").Index(i)
		sel := Selector{
			Keys: slices.Compact(slices.Sorted(slices.Values(x.GetKeys()))), SingleHost: x.GetSingleHostPerSubset(),
			Fallback: Fallback(fallback(x)), FallbackKeys: slices.Compact(slices.Sorted(slices.Values(x.GetFallbackKeysSubset()))),
		}
		if err := field.Only(p, x, "keys", "single_host_per_subset", "fallback_policy", "fallback_keys_subset"); err != nil {
			return err
		}
		if len(sel.Keys) == 0 {
			continue // it selects nothing
		}
		if sel.Fallback != FallbackKeys && len(sel.FallbackKeys) > 0 {
			return p.Dot("fallback_keys_subset").Errorf("is for the fallback_policy KEYS_SUBSET only")
		}
		if sel.Fallback == FallbackKeys {
			p := p.Dot("fallback_keys_subset")
			switch {
			case len(sel.FallbackKeys) == 0:
				return p.Errorf("missing")
			case slices.ContainsFunc(sel.FallbackKeys, func(k string) bool { return !slices.Contains(sel.Keys, k) }):
				return p.Errorf("%q is not a subset of the selector's keys", sel.FallbackKeys)
			case len(sel.FallbackKeys) == len(sel.Keys):
				return p.Errorf("has all of the selector's keys")
			}
		}
		s.Selectors = append(s.Selectors, sel)
	}
	if s.AllowRedundant {
		slices.SortStableFunc(s.Selectors, func(a, b Selector) int { return cmp.Compare(len(b.Keys), len(a.Keys)) })
	}
	return nil
}

// clusterFallback is the enumeration of the cluster, which has no
// NOT_DEFINED.
func clusterFallback(v int32) Fallback { return Fallback(v + 1) }
