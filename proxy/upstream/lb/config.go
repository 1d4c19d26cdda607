package lb

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglevv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ringv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

// FromConfig compiles the load balancing policy of the cluster at p. The
// policy is nil when the cluster's type has its own (CLUSTER_PROVIDED).
func FromConfig(p field.Path, c *clusterv3.Cluster) (Policy, error) {
	if lbp := c.GetLoadBalancingPolicy(); lbp != nil {
		if c.GetCommonLbConfig().GetLocalityConfigSpecifier() != nil {
			return nil, p.Dot("common_lb_config").Errorf("a locality configuration cannot stand beside load_balancing_policy: put it into the policy")
		}
		return fromExtensions(p.Dot("load_balancing_policy"), lbp)
	}
	weighted := c.GetCommonLbConfig().GetLocalityWeightedLbConfig() != nil
	switch c.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		if err := field.Only(p.Dot("round_robin_lb_config"), c.GetRoundRobinLbConfig()); err != nil {
			return nil, err
		}
		return RoundRobin{weighted}, nil
	case clusterv3.Cluster_LEAST_REQUEST:
		cfg, p := c.GetLeastRequestLbConfig(), p.Dot("least_request_lb_config")
		if err := field.Only(p, cfg, "choice_count", "active_request_bias"); err != nil {
			return nil, err
		}
		return leastRequest(p, LeastRequest{LocalityWeighted: weighted}, cfg.GetChoiceCount(), cfg.GetActiveRequestBias())
	case clusterv3.Cluster_RING_HASH:
		return legacyRing(p, c)
	case clusterv3.Cluster_MAGLEV:
		return legacyMaglev(p, c)
	case clusterv3.Cluster_RANDOM:
		return Random{weighted}, nil
	case clusterv3.Cluster_CLUSTER_PROVIDED:
		return nil, nil
	case clusterv3.Cluster_LOAD_BALANCING_POLICY_CONFIG:
		return nil, p.Dot("load_balancing_policy").Errorf("missing, as lb_policy is LOAD_BALANCING_POLICY_CONFIG")
	}
	return nil, p.Dot("lb_policy").Errorf("weir does not support %v", c.GetLbPolicy())
}

// fromExtensions takes the first policy that weir knows, as Envoy does.
func fromExtensions(p field.Path, lbp *clusterv3.LoadBalancingPolicy) (Policy, error) {
	if err := field.Only(p, lbp, "policies"); err != nil {
		return nil, err
	}
	var unknown []string
	for i, e := range lbp.GetPolicies() {
		p := p.Dot("policies").Index(i).Dot("typed_extension_config")
		a := e.GetTypedExtensionConfig().GetTypedConfig()
		switch a.GetTypeUrl() {
		case typePrefix + "round_robin.v3.RoundRobin":
			return unpack(p, a, &robinv3.RoundRobin{}, func(m *robinv3.RoundRobin) (Policy, error) {
				w, err := weightedByLocality(p, m.GetLocalityLbConfig())
				return RoundRobin{w}, firstError(field.Only(p, m, "locality_lb_config"), err)
			})
		case typePrefix + "least_request.v3.LeastRequest":
			return unpack(p, a, &leastv3.LeastRequest{}, func(m *leastv3.LeastRequest) (Policy, error) {
				return leastRequestExtension(p, m)
			})
		case typePrefix + "random.v3.Random":
			return unpack(p, a, &randomv3.Random{}, func(m *randomv3.Random) (Policy, error) {
				w, err := weightedByLocality(p, m.GetLocalityLbConfig())
				return Random{w}, firstError(field.Only(p, m, "locality_lb_config"), err)
			})
		case typePrefix + "ring_hash.v3.RingHash":
			return unpack(p, a, &ringv3.RingHash{}, func(m *ringv3.RingHash) (Policy, error) { return ringExtension(p, m) })
		case typePrefix + "maglev.v3.Maglev":
			return unpack(p, a, &maglevv3.Maglev{}, func(m *maglevv3.Maglev) (Policy, error) { return maglevExtension(p, m) })
		case typePrefix + "cluster_provided.v3.ClusterProvided":
			return nil, nil
		default:
			unknown = append(unknown, e.GetTypedExtensionConfig().GetName()+" ("+a.GetTypeUrl()+")")
		}
	}
	return nil, p.Dot("policies").Errorf("weir supports none of the policies %q", unknown)
}

const typePrefix = "type.googleapis.com/envoy.extensions.load_balancing_policies."

func unpack[M proto.Message](p field.Path, a interface{ UnmarshalTo(proto.Message) error }, m M, compile func(M) (Policy, error)) (Policy, error) {
	if err := a.UnmarshalTo(m); err != nil {
		return nil, p.Wrap(err)
	}
	return compile(m)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func leastRequestExtension(p field.Path, m *leastv3.LeastRequest) (Policy, error) {
	if err := field.Only(p, m, "choice_count", "active_request_bias", "locality_lb_config", "enable_full_scan", "selection_method"); err != nil {
		return nil, err
	}
	w, err := weightedByLocality(p, m.GetLocalityLbConfig())
	if err != nil {
		return nil, err
	}
	l := LeastRequest{LocalityWeighted: w, FullScan: m.GetEnableFullScan().GetValue() || m.GetSelectionMethod() == leastv3.LeastRequest_FULL_SCAN}
	return leastRequest(p, l, m.GetChoiceCount(), m.GetActiveRequestBias())
}

func leastRequest(p field.Path, l LeastRequest, choices *wrapperspb.UInt32Value, bias *corev3.RuntimeDouble) (Policy, error) {
	l.Choices, l.Bias = 2, 1
	if choices != nil {
		if l.Choices = int(choices.GetValue()); l.Choices < 2 {
			return nil, p.Dot("choice_count").Errorf("%d is less than 2", l.Choices)
		}
	}
	if bias != nil {
		if l.Bias = bias.GetDefaultValue(); l.Bias < 0 {
			return nil, p.Dot("active_request_bias").Errorf("%v is negative", l.Bias)
		}
	}
	return l, nil
}

func weightedByLocality(p field.Path, c *commonv3.LocalityLbConfig) (bool, error) {
	err := field.Only(p.Dot("locality_lb_config"), c, "locality_weighted_lb_config")
	return c.GetLocalityWeightedLbConfig() != nil, err
}
