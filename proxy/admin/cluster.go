package admin

import (
	"bufio"
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Cluster is what /clusters shows of one.
type Cluster struct {
	Name              string
	ObservabilityName string // alt_stat_name, or the name
	AddedViaAPI       bool
	EDSServiceName    string
	Default, High     Limits
	Outlier           *OutlierStatus // nil without outlier detection
	Hosts             []Host
}

// Limits are a priority's circuit breakers.
type Limits struct{ MaxConnections, MaxPendingRequests, MaxRequests, MaxRetries uint32 }

// OutlierStatus is the cluster-wide state of success-rate ejection, in
// percent; -1 where there is no figure yet.
type OutlierStatus struct {
	SuccessRateAverage                      float64
	SuccessRateEjectionThreshold            float64
	LocalOriginSuccessRateAverage           float64
	LocalOriginSuccessRateEjectionThreshold float64
}

// Host is an endpoint and its figures, the sum over the workers.
type Host struct {
	Address  string // "10.0.0.1:80" or a socket's path
	Hostname string

	CxActive, CxConnectFail, CxTotal                                  uint64
	RqActive, RqError, RqPendingActive, RqSuccess, RqTimeout, RqTotal uint64
	Health                                                            HealthFlags
	Weight, Priority                                                  uint32
	Region, Zone, SubZone                                             string
	Canary                                                            bool
	SuccessRate, LocalOriginSuccessRate                               float64 // percent; -1 without a figure
}

// HealthFlags are the reasons not to use a host; none: healthy.
type HealthFlags uint16

// Envoy's health flags, in its order.
const (
	FailedActiveHC HealthFlags = 1 << iota
	FailedOutlierCheck
	FailedEDSHealth
	DegradedActiveHC
	DegradedEDSHealth
	PendingDynamicRemoval
	PendingActiveHC
	ExcludedViaImmediateHCFail
	ActiveHCTimeout
	EDSStatusDraining
	DegradedOutlierDetection
)

var healthFlagNames = []string{"failed_active_hc", "failed_outlier_check", "failed_eds_health", "degraded_active_hc", "degraded_eds_health",
	"pending_dynamic_removal", "pending_active_hc", "excluded_via_immediate_hc_fail", "active_hc_timeout", "eds_status_draining", "degraded_outlier_detection"}

// String is the flags as /clusters shows them: "healthy" or "/failed_active_hc/…".
func (f HealthFlags) String() string {
	if f == 0 {
		return "healthy"
	}
	var b strings.Builder
	for i, name := range healthFlagNames {
		if f&(1<<i) != 0 {
			b.WriteString("/" + name)
		}
	}
	return b.String()
}

type hostStat struct {
	name  string
	value uint64
	gauge bool
}

// stats lists the host's figures by kind, then name: the order of the JSON page.
func (h *Host) stats() []hostStat {
	return []hostStat{
		{"cx_connect_fail", h.CxConnectFail, false},
		{"cx_total", h.CxTotal, false},
		{"rq_error", h.RqError, false},
		{"rq_success", h.RqSuccess, false},
		{"rq_timeout", h.RqTimeout, false},
		{"rq_total", h.RqTotal, false},
		{"cx_active", h.CxActive, true},
		{"rq_active", h.RqActive, true},
		{"rq_pending_active", h.RqPendingActive, true},
	}
}

func (s *Server) clusters(w http.ResponseWriter, r *http.Request) error {
	if s.sources.Clusters == nil {
		return errNotSupported
	}
	clusters, err := s.sources.Clusters(r.Context())
	if err != nil {
		return err
	}
	if f := r.URL.Query().Get("filter"); f != "" {
		re, err := regexp.Compile(f)
		if err != nil {
			return badRequest("Invalid re2 regex")
		}
		clusters = slices.DeleteFunc(slices.Clone(clusters), func(c Cluster) bool { return !re.MatchString(c.Name) })
	}
	if r.URL.Query().Get("format") == "json" {
		return writeJSON(w, clustersJSON(clusters))
	}
	b := bufio.NewWriter(w)
	for i := range clusters {
		clusters[i].writeText(b)
	}
	return b.Flush()
}

// writeText writes a cluster's lines: NAME::KEY::VALUE.
func (c *Cluster) writeText(b *bufio.Writer) {
	line := func(parts ...any) {
		b.WriteString(c.Name)
		for _, p := range parts {
			b.WriteString("::")
			fmt.Fprint(b, p)
		}
		b.WriteByte('\n')
	}
	line("observability_name", c.ObservabilityName)
	if o := c.Outlier; o != nil {
		line("outlier", "success_rate_average", short(o.SuccessRateAverage))
		line("outlier", "success_rate_ejection_threshold", short(o.SuccessRateEjectionThreshold))
		line("outlier", "local_origin_success_rate_average", short(o.LocalOriginSuccessRateAverage))
		line("outlier", "local_origin_success_rate_ejection_threshold", short(o.LocalOriginSuccessRateEjectionThreshold))
	}
	for _, p := range []struct {
		name string
		Limits
	}{{"default_priority", c.Default}, {"high_priority", c.High}} {
		line(p.name, "max_connections", p.MaxConnections)
		line(p.name, "max_pending_requests", p.MaxPendingRequests)
		line(p.name, "max_requests", p.MaxRequests)
		line(p.name, "max_retries", p.MaxRetries)
	}
	line("added_via_api", c.AddedViaAPI)
	if c.EDSServiceName != "" {
		line("eds_service_name", c.EDSServiceName)
	}
	for i := range c.Hosts {
		h := &c.Hosts[i]
		figures := h.stats()
		slices.SortFunc(figures, func(a, b hostStat) int { return cmp.Compare(a.name, b.name) })
		for _, f := range figures {
			line(h.Address, f.name, f.value)
		}
		line(h.Address, "hostname", h.Hostname)
		line(h.Address, "health_flags", h.Health)
		line(h.Address, "weight", h.Weight)
		line(h.Address, "region", h.Region)
		line(h.Address, "zone", h.Zone)
		line(h.Address, "sub_zone", h.SubZone)
		line(h.Address, "canary", h.Canary)
		line(h.Address, "priority", h.Priority)
		line(h.Address, "success_rate", rate(h.SuccessRate))
		line(h.Address, "local_origin_success_rate", rate(h.LocalOriginSuccessRate))
	}
}

// rate prints percents as Envoy does: as many digits as they need.
func rate(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// short is a figure of the whole cluster, which Envoy prints shorter.
func short(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
