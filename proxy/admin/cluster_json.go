package admin

import "strconv"

// The JSON page is an envoy.admin.v3.Clusters as protobuf prints it: zero
// values left out, 64-bit numbers as strings.
type (
	clustersDump struct {
		ClusterStatuses []clusterStatus `json:"cluster_statuses,omitempty"`
	}
	clusterStatus struct {
		Name                                    string          `json:"name"`
		AddedViaAPI                             bool            `json:"added_via_api,omitempty"`
		SuccessRateEjectionThreshold            *percent        `json:"success_rate_ejection_threshold,omitempty"`
		HostStatuses                            []hostStatus    `json:"host_statuses,omitempty"`
		LocalOriginSuccessRateEjectionThreshold *percent        `json:"local_origin_success_rate_ejection_threshold,omitempty"`
		CircuitBreakers                         circuitBreakers `json:"circuit_breakers"`
		ObservabilityName                       string          `json:"observability_name,omitempty"`
		EDSServiceName                          string          `json:"eds_service_name,omitempty"`
	}
	percent struct {
		Value double `json:"value,omitempty"`
	}
	circuitBreakers struct {
		Thresholds []threshold `json:"thresholds"`
	}
	threshold struct {
		Priority           string `json:"priority,omitempty"`
		MaxConnections     uint32 `json:"max_connections"`
		MaxPendingRequests uint32 `json:"max_pending_requests"`
		MaxRequests        uint32 `json:"max_requests"`
		MaxRetries         uint32 `json:"max_retries"`
	}
	hostStatus struct {
		Address                address        `json:"address"`
		Stats                  []simpleMetric `json:"stats"`
		HealthStatus           healthStatus   `json:"health_status"`
		SuccessRate            *percent       `json:"success_rate,omitempty"`
		Weight                 uint32         `json:"weight,omitempty"`
		Hostname               string         `json:"hostname,omitempty"`
		Priority               uint32         `json:"priority,omitempty"`
		LocalOriginSuccessRate *percent       `json:"local_origin_success_rate,omitempty"`
		Locality               locality       `json:"locality"`
	}
	simpleMetric struct {
		Type  string `json:"type,omitempty"`
		Value string `json:"value,omitempty"`
		Name  string `json:"name"`
	}
	healthStatus struct {
		FailedActiveHealthCheck    bool   `json:"failed_active_health_check,omitempty"`
		FailedOutlierCheck         bool   `json:"failed_outlier_check,omitempty"`
		EDSHealthStatus            string `json:"eds_health_status"`
		FailedActiveDegradedCheck  bool   `json:"failed_active_degraded_check,omitempty"`
		PendingDynamicRemoval      bool   `json:"pending_dynamic_removal,omitempty"`
		PendingActiveHC            bool   `json:"pending_active_hc,omitempty"`
		ExcludedViaImmediateHCFail bool   `json:"excluded_via_immediate_hc_fail,omitempty"`
		ActiveHCTimeout            bool   `json:"active_hc_timeout,omitempty"`
	}
	locality struct {
		Region  string `json:"region,omitempty"`
		Zone    string `json:"zone,omitempty"`
		SubZone string `json:"sub_zone,omitempty"`
	}
)

func clustersJSON(clusters []Cluster) clustersDump {
	var dump clustersDump
	for i := range clusters {
		c := &clusters[i]
		out := clusterStatus{
			Name:              c.Name,
			AddedViaAPI:       c.AddedViaAPI,
			CircuitBreakers:   circuitBreakers{[]threshold{newThreshold("", c.Default), newThreshold("HIGH", c.High)}},
			ObservabilityName: c.ObservabilityName,
			EDSServiceName:    c.EDSServiceName,
		}
		if c.Outlier != nil {
			out.SuccessRateEjectionThreshold = newPercent(c.Outlier.SuccessRateEjectionThreshold)
			out.LocalOriginSuccessRateEjectionThreshold = newPercent(c.Outlier.LocalOriginSuccessRateEjectionThreshold)
		}
		for h := range c.Hosts {
			out.HostStatuses = append(out.HostStatuses, c.Hosts[h].status())
		}
		dump.ClusterStatuses = append(dump.ClusterStatuses, out)
	}
	return dump
}

func newThreshold(priority string, l Limits) threshold {
	return threshold{priority, l.MaxConnections, l.MaxPendingRequests, l.MaxRequests, l.MaxRetries}
}

// newPercent leaves out what has no figure.
func newPercent(f float64) *percent {
	if f < 0 {
		return nil
	}
	return &percent{double(f)}
}

// double prints as protobuf does it in C++: with 15 digits, or 17 where those
// are not enough.
type double float64

// MarshalJSON implements json.Marshaler.
func (d double) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(d), 'g', 15, 64)
	if back, _ := strconv.ParseFloat(text, 64); back != float64(d) {
		text = strconv.FormatFloat(float64(d), 'g', 17, 64)
	}
	return []byte(text), nil
}

func (h *Host) status() hostStatus {
	out := hostStatus{
		Address:                newAddress(h.Address),
		HealthStatus:           h.Health.status(),
		SuccessRate:            newPercent(h.SuccessRate),
		Weight:                 h.Weight,
		Hostname:               h.Hostname,
		Priority:               h.Priority,
		LocalOriginSuccessRate: newPercent(h.LocalOriginSuccessRate),
		Locality:               locality{h.Region, h.Zone, h.SubZone},
	}
	for _, f := range h.stats() {
		m := simpleMetric{Name: f.name}
		if f.gauge {
			m.Type = "GAUGE"
		}
		if f.value != 0 {
			m.Value = strconv.FormatUint(f.value, 10)
		}
		out.Stats = append(out.Stats, m)
	}
	return out
}

func (f HealthFlags) status() healthStatus {
	out := healthStatus{
		FailedActiveHealthCheck:    f&FailedActiveHC != 0,
		FailedOutlierCheck:         f&FailedOutlierCheck != 0,
		EDSHealthStatus:            "HEALTHY",
		FailedActiveDegradedCheck:  f&DegradedActiveHC != 0,
		PendingDynamicRemoval:      f&PendingDynamicRemoval != 0,
		PendingActiveHC:            f&PendingActiveHC != 0,
		ExcludedViaImmediateHCFail: f&ExcludedViaImmediateHCFail != 0,
		ActiveHCTimeout:            f&ActiveHCTimeout != 0,
	}
	switch {
	case f&FailedEDSHealth != 0:
		out.EDSHealthStatus = "UNHEALTHY"
	case f&EDSStatusDraining != 0:
		out.EDSHealthStatus = "DRAINING"
	case f&DegradedEDSHealth != 0:
		out.EDSHealthStatus = "DEGRADED"
	}
	return out
}
