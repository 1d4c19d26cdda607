package upstream

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/weirproxy/weir/internal/field"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

func circuitBreakers(p field.Path, c *clusterv3.CircuitBreakers, runtime cluster.Runtime, cfg *config) error {
	info := cfg.info
	info.Resources = new([cluster.NumPriorities]cluster.Resources)
	for i := range info.Resources {
		info.Resources[i].Set(cluster.DefaultLimits())
		info.Resources[i].Override(runtime, "circuit_breakers."+info.Name+"."+priorityNames[i]+".")
	}
	if c == nil {
		return nil
	}
	if err := field.Only(p, c, "thresholds", "per_host_thresholds"); err != nil {
		return err
	}
	var seen [cluster.NumPriorities]bool // the first of a priority counts
	limits := [cluster.NumPriorities]cluster.Limits{cluster.DefaultLimits(), cluster.DefaultLimits()}
	for i, t := range c.GetThresholds() {
		prio := priority(t.GetPriority())
		l, err := thresholds(p.Dot("thresholds").Index(i), t)
		if err != nil {
			return err
		}
		if !seen[prio] {
			seen[prio], limits[prio] = true, l
		}
	}
	for i, t := range c.GetPerHostThresholds() {
		if err := field.Only(p.Dot("per_host_thresholds").Index(i), t, "priority", "max_connections"); err != nil {
			return err
		}
		if l := &limits[priority(t.GetPriority())]; l.PerHostMax == 0 {
			l.PerHostMax = t.GetMaxConnections().GetValue()
		}
	}
	for i := range info.Resources {
		info.Resources[i].Set(limits[i])
		cfg.track[i] = limits[i].TrackRemaining
	}
	return nil
}

func preconnect(p field.Path, c *clusterv3.Cluster_PreconnectPolicy, out *cluster.Preconnect) error {
	out.PerUpstream, out.Predictive = c.GetPerUpstreamPreconnectRatio().GetValue(), c.GetPredictivePreconnectRatio().GetValue()
	for name, ratio := range map[string]*wrapperspb.DoubleValue{"per_upstream_preconnect_ratio": c.GetPerUpstreamPreconnectRatio(), "predictive_preconnect_ratio": c.GetPredictivePreconnectRatio()} {
		if v := ratio.GetValue(); ratio != nil && !(v >= 1 && v <= 3) {
			return p.Dot(name).Errorf("%v is not between 1 and 3", v)
		}
	}
	return field.Only(p, c, "per_upstream_preconnect_ratio", "predictive_preconnect_ratio")
}

func priority(p corev3.RoutingPriority) cluster.Priority {
	if p == corev3.RoutingPriority_HIGH {
		return cluster.High
	}
	return cluster.Default
}

func thresholds(p field.Path, t *clusterv3.CircuitBreakers_Thresholds) (cluster.Limits, error) {
	l := cluster.DefaultLimits()
	b := t.GetRetryBudget()
	if err := firstError(
		field.Only(p, t, "priority", "max_connections", "max_pending_requests", "max_requests", "max_retries", "retry_budget", "track_remaining"),
		field.Only(p.Dot("retry_budget"), b, "budget_percent", "budget_interval", "min_retry_concurrency"),
	); err != nil {
		return l, err
	}
	for _, f := range []struct {
		kind cluster.Kind
		set  interface{ GetValue() uint32 }
		is   bool
	}{
		{cluster.Connections, t.GetMaxConnections(), t.GetMaxConnections() != nil},
		{cluster.Pending, t.GetMaxPendingRequests(), t.GetMaxPendingRequests() != nil},
		{cluster.Requests, t.GetMaxRequests(), t.GetMaxRequests() != nil},
		{cluster.Retries, t.GetMaxRetries(), t.GetMaxRetries() != nil},
	} {
		if f.is {
			l.Max[f.kind] = f.set.GetValue()
		}
	}
	if d := b.GetBudgetInterval().AsDuration(); d != 0 {
		return l, p.Dot("retry_budget").Dot("budget_interval").Errorf("weir counts active and pending requests only: 0s, not %v", d)
	}
	l.TrackRemaining = t.GetTrackRemaining()
	if b != nil {
		l.Budget = &cluster.RetryBudget{Percent: 20, MinConcurrency: 3}
		if b.GetBudgetPercent() != nil {
			l.Budget.Percent = b.GetBudgetPercent().GetValue()
		}
		if b.GetMinRetryConcurrency() != nil {
			l.Budget.MinConcurrency = b.GetMinRetryConcurrency().GetValue()
		}
	}
	return l, nil
}
