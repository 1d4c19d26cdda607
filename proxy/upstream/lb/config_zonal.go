package lb

//lint:file-ignore SA1019 control planes still send the deprecated fields, and Envoy takes them

import (
	"math"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	leastv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	randomv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	robinv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
)

func (c *compiler) legacyRobin(p field.Path, cl *clusterv3.Cluster) (Policy, error) {
	l, err := legacyLocality(p, cl.GetCommonLbConfig())
	cfg, p := cl.GetRoundRobinLbConfig(), p.Dot("round_robin_lb_config")
	slow, err2 := c.slowStart(p, cfg.GetSlowStartConfig())
	return RoundRobin{l, slow}, firstError(err, err2, field.Only(p, cfg, "slow_start_config"))
}

func (c *compiler) robinExtension(p field.Path, m *robinv3.RoundRobin) (Policy, error) {
	l, err := localityExtension(p, m.GetLocalityLbConfig())
	slow, err2 := c.slowStart(p, m.GetSlowStartConfig())
	return RoundRobin{l, slow}, firstError(err, err2, field.Only(p, m, "locality_lb_config", "slow_start_config"))
}

func legacyRandom(p field.Path, cl *clusterv3.Cluster) (Policy, error) {
	l, err := legacyLocality(p, cl.GetCommonLbConfig())
	return Random{l}, err
}

func randomExtension(p field.Path, m *randomv3.Random) (Policy, error) {
	l, err := localityExtension(p, m.GetLocalityLbConfig())
	return Random{l}, firstError(err, field.Only(p, m, "locality_lb_config"))
}

func (c *compiler) legacyLeast(p field.Path, cl *clusterv3.Cluster) (Policy, error) {
	l, err := legacyLocality(p, cl.GetCommonLbConfig())
	cfg, p := cl.GetLeastRequestLbConfig(), p.Dot("least_request_lb_config")
	slow, err2 := c.slowStart(p, cfg.GetSlowStartConfig())
	if err := firstError(err, err2, field.Only(p, cfg, "choice_count", "active_request_bias", "slow_start_config")); err != nil {
		return nil, err
	}
	return c.leastRequest(p, LeastRequest{Locality: l, SlowStart: slow}, cfg.GetChoiceCount(), cfg.GetActiveRequestBias())
}

func (c *compiler) leastExtension(p field.Path, m *leastv3.LeastRequest) (Policy, error) {
	l, err := localityExtension(p, m.GetLocalityLbConfig())
	slow, err2 := c.slowStart(p, m.GetSlowStartConfig())
	if err := firstError(err, err2, field.Only(p, m, "choice_count", "active_request_bias", "locality_lb_config",
		"enable_full_scan", "selection_method", "slow_start_config")); err != nil {
		return nil, err
	}
	full := m.GetEnableFullScan().GetValue() || m.GetSelectionMethod() == leastv3.LeastRequest_FULL_SCAN
	return c.leastRequest(p, LeastRequest{Locality: l, SlowStart: slow, FullScan: full}, m.GetChoiceCount(), m.GetActiveRequestBias())
}

func (c *compiler) leastRequest(p field.Path, l LeastRequest, choices *wrapperspb.UInt32Value, bias *corev3.RuntimeDouble) (Policy, error) {
	l.Choices, l.Bias = 2, 1
	if choices != nil {
		l.Choices = int(choices.GetValue())
	}
	if bias != nil {
		if l.Bias = c.double(bias); l.Bias < 0 {
			l.Bias = 1 // as in Envoy, which takes it for a mistake
		}
	}
	return l, nil
}

// double is a number that the runtime may override when the cluster is taken.
func (c *compiler) double(d *corev3.RuntimeDouble) float64 {
	return c.runtime.Float(d.GetRuntimeKey(), d.GetDefaultValue())
}

// slowStartConfig is the same message in the cluster and in the extensions.
type slowStartConfig interface {
	proto.Message
	GetSlowStartWindow() *durationpb.Duration
	GetAggression() *corev3.RuntimeDouble
	GetMinWeightPercent() *typev3.Percent
}

func (c *compiler) slowStart(p field.Path, m slowStartConfig) (s SlowStart, err error) {
	s = SlowStart{Window: m.GetSlowStartWindow().AsDuration(), Aggression: 1, MinWeight: 0.1}
	if s.Window < 0 {
		return s, p.Dot("slow_start_config").Dot("slow_start_window").Errorf("%v is less than 0", s.Window)
	}
	if a := m.GetAggression(); a != nil {
		if s.Aggression = c.double(a); s.Aggression <= 0 {
			s.Aggression = 1 // as in Envoy, which takes it for a mistake
		}
	}
	if w := m.GetMinWeightPercent(); w != nil {
		s.MinWeight = w.GetValue() / 100
	}
	return s, nil
}

func legacyLocality(p field.Path, c *clusterv3.Cluster_CommonLbConfig) (Locality, error) {
	l := Locality{Weighted: c.GetLocalityWeightedLbConfig() != nil, Zone: DefaultZoneAware()}
	z, p := c.GetZoneAwareLbConfig(), p.Dot("common_lb_config").Dot("zone_aware_lb_config")
	l.Zone.set(z.GetRoutingEnabled(), z.GetMinClusterSize())
	l.Zone.FailOnPanic = z.GetFailTrafficOnPanic()
	return l, field.Only(p, z, "routing_enabled", "min_cluster_size", "fail_traffic_on_panic")
}

func localityExtension(p field.Path, c *commonv3.LocalityLbConfig) (Locality, error) {
	l := Locality{Weighted: c.GetLocalityWeightedLbConfig() != nil, Zone: DefaultZoneAware()}
	z, p := c.GetZoneAwareLbConfig(), p.Dot("locality_lb_config")
	l.Zone.set(z.GetRoutingEnabled(), z.GetMinClusterSize())
	l.Zone.FailOnPanic = z.GetFailTrafficOnPanic()
	if z.GetForceLocalityDirectRouting() {
		l.Zone.ForceMinHosts = 1
	}
	if f := z.GetForceLocalZone(); f != nil {
		if l.Zone.ForceMinHosts = 1; f.GetMinSize() != nil {
			l.Zone.ForceMinHosts = f.GetMinSize().GetValue()
		}
	}
	l.Zone.ByWeight = z.GetLocalityBasis() == commonv3.LocalityLbConfig_ZoneAwareLbConfig_HEALTHY_HOSTS_WEIGHT
	return l, firstError(
		field.Only(p, c, "locality_weighted_lb_config", "zone_aware_lb_config"),
		field.Only(p.Dot("zone_aware_lb_config"), z, "routing_enabled", "min_cluster_size", "fail_traffic_on_panic", "force_locality_direct_routing", "force_local_zone", "locality_basis"),
	)
}

func (z *ZoneAware) set(enabled *typev3.Percent, size *wrapperspb.UInt64Value) {
	if enabled != nil {
		z.Enabled = uint32(math.Round(enabled.GetValue()))
	}
	if size != nil {
		z.MinClusterSize = size.GetValue()
	}
}
