package lb

import (
	"strings"
	"time"

	weightedv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3"
	overridev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/override_host/v3"
	localityv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/wrr_locality/v3"
	metadatav3 "github.com/envoyproxy/go-control-plane/envoy/type/metadata/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weirproxy/weir/internal/field"
)

func (k *compiler) weightedExtension(p field.Path, m *weightedv3.ClientSideWeightedRoundRobin) (Policy, error) {
	if m.GetEnableOobLoadReport().GetValue() {
		return nil, p.Dot("enable_oob_load_report").Errorf("weir takes load reports from responses only")
	}
	slow, err := k.slowStart(p, m.GetSlowStartConfig())
	if err := firstError(err, field.Only(p, m, "enable_oob_load_report", "blackout_period", "weight_expiration_period",
		"weight_update_period", "error_utilization_penalty", "metric_names_for_computing_utilization", "slow_start_config")); err != nil {
		return nil, err
	}
	period := func(d *durationpb.Duration, def time.Duration) time.Duration {
		if d == nil {
			return def
		}
		return d.AsDuration()
	}
	c := &ClientWeighted{
		Robin:    RoundRobin{Locality: Locality{Zone: DefaultZoneAware()}, SlowStart: slow},
		Blackout: period(m.GetBlackoutPeriod(), 10*time.Second), Expiration: period(m.GetWeightExpirationPeriod(), 3*time.Minute),
		Update: max(period(m.GetWeightUpdatePeriod(), time.Second), 100*time.Millisecond), Penalty: 1,
		Metrics: m.GetMetricNamesForComputingUtilization(),
	}
	if v := m.GetErrorUtilizationPenalty(); v != nil {
		c.Penalty = float64(v.GetValue())
	}
	return c, nil
}

func (k *compiler) localityExtension(p field.Path, m *localityv3.WrrLocality) (Policy, error) {
	if err := field.Only(p, m, "endpoint_picking_policy"); err != nil {
		return nil, err
	}
	p = p.Dot("endpoint_picking_policy")
	inner, err := k.extensions(p, m.GetEndpointPickingPolicy())
	if err != nil {
		return nil, err
	}
	c, ok := inner.(*ClientWeighted)
	if !ok {
		return nil, p.Errorf("wrr_locality picks endpoints by client_side_weighted_round_robin only")
	}
	c.Robin.Locality.Weighted = true
	return c, nil
}

func (k *compiler) overrideExtension(p field.Path, m *overridev3.OverrideHost) (Policy, error) {
	o := &OverrideHost{}
	if err := field.Only(p, m, "override_host_sources", "selected_host_key", "fallback_policy"); err != nil {
		return nil, err
	}
	for i, s := range m.GetOverrideHostSources() {
		p := p.Dot("override_host_sources").Index(i)
		h := HostSource{Header: strings.ToLower(s.GetHeader())}
		if (h.Header == "") == (s.GetMetadata() == nil) {
			return nil, p.Errorf("needs one of header and metadata")
		}
		var err error
		if h.Metadata, err = NewMetadataPath(p.Dot("metadata"), s.GetMetadata()); err != nil {
			return nil, err
		}
		o.Sources = append(o.Sources, h)
	}
	if len(o.Sources) == 0 {
		return nil, p.Dot("override_host_sources").Errorf("missing")
	}
	var err error
	if o.Selected, err = NewMetadataPath(p.Dot("selected_host_key"), m.GetSelectedHostKey()); err != nil {
		return nil, err
	}
	if o.Fallback, err = k.extensions(p.Dot("fallback_policy"), m.GetFallbackPolicy()); err == nil && o.Fallback == nil {
		err = p.Dot("fallback_policy").Errorf("CLUSTER_PROVIDED picks no hosts of a list")
	}
	return o, err
}

// NewMetadataPath compiles a MetadataKey, nil when there is none.
func NewMetadataPath(p field.Path, m *metadatav3.MetadataKey) (*MetadataPath, error) {
	if m == nil {
		return nil, nil
	}
	out := &MetadataPath{Namespace: m.GetKey()}
	for i, s := range m.GetPath() {
		if err := field.Only(p.Dot("path").Index(i), s, "key"); err != nil {
			return nil, err
		}
		out.Path = append(out.Path, s.GetKey())
	}
	if out.Namespace == "" || len(out.Path) == 0 {
		return nil, p.Errorf("needs a key and a path")
	}
	return out, nil
}
