package lb

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	weightedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	providedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/cluster_provided/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subsetv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	localityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/xds/protos"
)

// FromConfig compiles the load balancing policy of the cluster at p. The
// policy is nil when the cluster's type has its own (CLUSTER_PROVIDED).
func FromConfig(p field.Path, c *clusterv3.Cluster, r cluster.Runtime) (Policy, error) {
	k := &compiler{r}
	if lbp := c.GetLoadBalancingPolicy(); lbp != nil {
		if common := c.GetCommonLbConfig(); common.GetLocalityConfigSpecifier() != nil || common.GetConsistentHashingLbConfig() != nil {
			return nil, p.Dot("common_lb_config").Errorf("what concerns localities and consistent hashing cannot stand beside load_balancing_policy: put it into the policy")
		}
		if c.GetLbSubsetConfig() != nil {
			return nil, p.Dot("lb_subset_config").Errorf("cannot be combined with load_balancing_policy")
		}
		return k.extensions(p.Dot("load_balancing_policy"), lbp)
	}
	inner, err := k.legacy(p, c)
	if err != nil || len(c.GetLbSubsetConfig().GetSubsetSelectors()) == 0 {
		return inner, firstError(err, field.Only(p.Dot("lb_subset_config"), c.GetLbSubsetConfig(), subsetFields...))
	}
	if inner == nil {
		return nil, p.Dot("lb_subset_config").Errorf("cannot be combined with CLUSTER_PROVIDED")
	}
	if c.GetLbSubsetConfig().GetLocalityWeightAware() && c.GetCommonLbConfig().GetLocalityWeightedLbConfig() == nil {
		return nil, p.Dot("lb_subset_config").Dot("locality_weight_aware").Errorf("needs common_lb_config.locality_weighted_lb_config")
	}
	return legacySubset(p.Dot("lb_subset_config"), c.GetLbSubsetConfig(), inner)
}

// legacy compiles lb_policy and the configuration that goes with it.
func (k *compiler) legacy(p field.Path, c *clusterv3.Cluster) (Policy, error) {
	switch c.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		return k.legacyRobin(p, c)
	case clusterv3.Cluster_LEAST_REQUEST:
		return k.legacyLeast(p, c)
	case clusterv3.Cluster_RING_HASH:
		return legacyRing(p, c)
	case clusterv3.Cluster_MAGLEV:
		return legacyMaglev(p, c)
	case clusterv3.Cluster_RANDOM:
		return legacyRandom(p, c)
	case clusterv3.Cluster_CLUSTER_PROVIDED:
		return nil, nil
	case clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG:
		return nil, p.Dot("load_balancing_policy").Errorf("missing, as lb_policy is LOAD_BALANCING_POLICY_CONFIG")
	}
	return nil, p.Dot("lb_policy").Errorf("weir does not support %v", c.GetLbPolicy())
}

type compiler struct{ runtime cluster.Runtime }

// extensions takes the first policy that weir knows, as Envoy does.
func (k *compiler) extensions(p field.Path, lbp *clusterv3.LoadBalancingPolicy) (Policy, error) {
	if err := field.Only(p, lbp, "policies"); err != nil {
		return nil, err
	}
	var unknown []string
	for i, e := range lbp.GetPolicies() {
		p := p.Dot("policies").Index(i).Dot("typed_extension_config")
		a := e.GetTypedExtensionConfig().GetTypedConfig()
		switch "type.googleapis.com/" + protos.TypeName(a) {
		case typePrefix + "round_robin.v3.RoundRobin":
			return unpack(p, a, &robinv3.RoundRobin{}, k.robinExtension)
		case typePrefix + "least_request.v3.LeastRequest":
			return unpack(p, a, &leastv3.LeastRequest{}, k.leastExtension)
		case typePrefix + "random.v3.Random":
			return unpack(p, a, &randomv3.Random{}, randomExtension)
		case typePrefix + "ring_hash.v3.RingHash":
			return unpack(p, a, &ringv3.RingHash{}, ringExtension)
		case typePrefix + "maglev.v3.Maglev":
			return unpack(p, a, &maglevv3.Maglev{}, maglevExtension)
		case typePrefix + "subset.v3.Subset":
			return unpack(p, a, &subsetv3.Subset{}, k.subsetExtension)
		case typePrefix + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin":
			return unpack(p, a, &weightedv3.ClientSideWeightedRoundRobin{}, k.weightedExtension)
		case typePrefix + "wrr_locality.v3.WrrLocality":
			return unpack(p, a, &localityv3.WrrLocality{}, k.localityExtension)
		case typePrefix + "override_host.v3.OverrideHost":
			return unpack(p, a, &overridev3.OverrideHost{}, k.overrideExtension)
		case typePrefix + "cluster_provided.v3.ClusterProvided":
			return unpack(p, a, &providedv3.ClusterProvided{}, providedExtension)
		default:
			unknown = append(unknown, e.GetTypedExtensionConfig().GetName()+" ("+a.GetTypeUrl()+")")
		}
	}
	return nil, p.Dot("policies").Errorf("weir supports none of the policies %q", unknown)
}

// providedExtension leaves the balancing to the cluster's type.
func providedExtension(p field.Path, m *providedv3.ClusterProvided) (Policy, error) {
	return nil, field.Only(p, m)
}

const typePrefix = "type.googleapis.com/envoy.extensions.load_balancing_policies."

func unpack[M proto.Message](p field.Path, a *anypb.Any, m M, compile func(field.Path, M) (Policy, error)) (Policy, error) {
	if err := protos.UnpackUnchecked(p, a, m); err != nil {
		return nil, err
	}
	return compile(p, m)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
