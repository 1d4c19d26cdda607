package outlier

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Config is a compiled envoy.config.cluster.v3.OutlierDetection.
type Config struct {
	Consecutive                      [cluster.NumErrorKinds]uint32
	Split                            bool // local origin from external
	Interval, BaseEjection           time.Duration
	MaxEjection, MaxJitter           time.Duration
	MaxEjectionPercent               uint32
	AlwaysEjectOne                   bool
	Enforcing                        [numKinds]uint32 // percent
	SuccessRateHosts, FailureHosts   uint32           // at least so many hosts
	SuccessRateVolume, FailureVolume uint32           // with so many requests an interval
	StdevFactor                      uint32           // thousandths
	FailureThreshold                 uint32           // percent
	HealthCheckUnejects              bool
	DetectDegraded                   bool // by responses that say so
}

const defaultMaxEjection = 300 * time.Second

// FromConfig compiles a cluster's outlier detection at p, nil when it has none.
func FromConfig(p field.Path, m *clusterv3.OutlierDetection) (*Config, error) {
	if m == nil {
		return nil, nil
	}
	c := &Config{Interval: 10 * time.Second, BaseEjection: 30 * time.Second, HealthCheckUnejects: true, AlwaysEjectOne: m.GetAlwaysEjectOneHost().GetValue()}
	c.DetectDegraded = m.GetDetectDegradedHosts().GetValue()
	c.Split = m.GetSplitExternalLocalOriginErrors()
	if v := m.GetSuccessfulActiveHealthCheckUnejectHost(); v != nil {
		c.HealthCheckUnejects = v.GetValue()
	}
	if err := firstError(
		field.Only(p, m, "consecutive_5xx", "interval", "base_ejection_time", "max_ejection_percent", "enforcing_consecutive_5xx",
			"enforcing_success_rate", "success_rate_minimum_hosts", "success_rate_request_volume", "success_rate_stdev_factor",
			"consecutive_gateway_failure", "enforcing_consecutive_gateway_failure", "split_external_local_origin_errors",
			"consecutive_local_origin_failure", "enforcing_consecutive_local_origin_failure", "enforcing_local_origin_success_rate",
			"failure_percentage_threshold", "enforcing_failure_percentage", "enforcing_failure_percentage_local_origin",
			"failure_percentage_minimum_hosts", "failure_percentage_request_volume", "max_ejection_time",
			"max_ejection_time_jitter", "successful_active_health_check_uneject_host", "always_eject_one_host", "detect_degraded_hosts"),
		duration(p.Dot("interval"), m.GetInterval(), &c.Interval, true),
		duration(p.Dot("base_ejection_time"), m.GetBaseEjectionTime(), &c.BaseEjection, true),
		duration(p.Dot("max_ejection_time_jitter"), m.GetMaxEjectionTimeJitter(), &c.MaxJitter, false),
		percent(p.Dot("max_ejection_percent"), m.GetMaxEjectionPercent(), 10, &c.MaxEjectionPercent),
		percent(p.Dot("failure_percentage_threshold"), m.GetFailurePercentageThreshold(), 85, &c.FailureThreshold),
		percent(p.Dot("enforcing_consecutive_5xx"), m.GetEnforcingConsecutive_5Xx(), 100, &c.Enforcing[consecutive5xx]),
		percent(p.Dot("enforcing_consecutive_gateway_failure"), m.GetEnforcingConsecutiveGatewayFailure(), 0, &c.Enforcing[consecutiveGateway]),
		percent(p.Dot("enforcing_consecutive_local_origin_failure"), m.GetEnforcingConsecutiveLocalOriginFailure(), 100, &c.Enforcing[consecutiveLocal]),
		percent(p.Dot("enforcing_success_rate"), m.GetEnforcingSuccessRate(), 100, &c.Enforcing[successRate]),
		percent(p.Dot("enforcing_local_origin_success_rate"), m.GetEnforcingLocalOriginSuccessRate(), 100, &c.Enforcing[localSuccessRate]),
		percent(p.Dot("enforcing_failure_percentage"), m.GetEnforcingFailurePercentage(), 0, &c.Enforcing[failurePercentage]),
		percent(p.Dot("enforcing_failure_percentage_local_origin"), m.GetEnforcingFailurePercentageLocalOrigin(), 0, &c.Enforcing[localFailurePercentage]),
	); err != nil {
		return nil, err
	}
	c.MaxEjection = max(defaultMaxEjection, c.BaseEjection)
	if err := duration(p.Dot("max_ejection_time"), m.GetMaxEjectionTime(), &c.MaxEjection, true); err != nil {
		return nil, err
	}
	if c.MaxEjection < c.BaseEjection {
		return nil, p.Dot("max_ejection_time").Errorf("%v is less than base_ejection_time, %v", c.MaxEjection, c.BaseEjection)
	}
	l := &c.Consecutive
	l[cluster.ServerErrors] = number(m.GetConsecutive_5Xx(), 5)
	l[cluster.GatewayErrors] = number(m.GetConsecutiveGatewayFailure(), 5)
	l[cluster.LocalErrors] = number(m.GetConsecutiveLocalOriginFailure(), 5)
	c.SuccessRateHosts, c.SuccessRateVolume = number(m.GetSuccessRateMinimumHosts(), 5), number(m.GetSuccessRateRequestVolume(), 100)
	c.FailureHosts, c.FailureVolume = number(m.GetFailurePercentageMinimumHosts(), 5), number(m.GetFailurePercentageRequestVolume(), 50)
	c.StdevFactor = number(m.GetSuccessRateStdevFactor(), 1900)
	return c, nil
}

func number(v *wrapperspb.UInt32Value, def uint32) uint32 {
	if v == nil {
		return def
	}
	return v.GetValue()
}

func percent(p field.Path, v *wrapperspb.UInt32Value, def uint32, out *uint32) error {
	if *out = number(v, def); *out > 100 {
		return p.Errorf("%d is more than 100", *out)
	}
	return nil
}

func duration(p field.Path, d *durationpb.Duration, out *time.Duration, positive bool) error {
	if d == nil {
		return nil
	}
	*out = d.AsDuration()
	if positive && *out <= 0 {
		return p.Errorf("%v is not greater than 0", *out)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
