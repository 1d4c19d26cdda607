package outlier

import "github.com/weirproxy/weir/proxy/stats"

// detectorStats are "cluster.<name>.outlier_detection.".
type detectorStats struct {
	Active         stats.Gauge   `stat:"ejections_active"`
	Consecutive5xx stats.Counter `stat:"ejections_consecutive_5xx"` // deprecated by Envoy
	Detected       byKind        `stat:"ejections_detected_"`
	Enforced       byKind        `stat:"ejections_enforced_"`
	EnforcedTotal  stats.Counter `stat:"ejections_enforced_total"`
	Overflow       stats.Counter `stat:"ejections_overflow"`
	SuccessRate    stats.Counter `stat:"ejections_success_rate"` // deprecated by Envoy
	Total          stats.Counter `stat:"ejections_total"`        // deprecated by Envoy
	Degradation    stats.Counter `stat:"ejections_detected_degradation"`
}

type byKind struct {
	Consecutive5xx         stats.Counter `stat:"consecutive_5xx"`
	ConsecutiveGateway     stats.Counter `stat:"consecutive_gateway_failure"`
	ConsecutiveLocal       stats.Counter `stat:"consecutive_local_origin_failure"`
	FailurePercentage      stats.Counter `stat:"failure_percentage"`
	LocalFailurePercentage stats.Counter `stat:"local_origin_failure_percentage"`
	LocalSuccessRate       stats.Counter `stat:"local_origin_success_rate"`
	SuccessRate            stats.Counter `stat:"success_rate"`
}

func (s *detectorStats) detected(k kind) *stats.Counter { return s.Detected.of(k) }
func (s *detectorStats) enforced(k kind) *stats.Counter { return s.Enforced.of(k) }

func (b *byKind) of(k kind) *stats.Counter {
	return [numKinds]*stats.Counter{
		consecutive5xx: &b.Consecutive5xx, consecutiveGateway: &b.ConsecutiveGateway, successRate: &b.SuccessRate,
		consecutiveLocal: &b.ConsecutiveLocal, localSuccessRate: &b.LocalSuccessRate,
		failurePercentage: &b.FailurePercentage, localFailurePercentage: &b.LocalFailurePercentage,
	}[k]
}

// names are the kinds as runtime keys and the log have them.
var names = [numKinds]string{
	consecutive5xx: "consecutive_5xx", consecutiveGateway: "consecutive_gateway_failure", successRate: "success_rate",
	consecutiveLocal: "consecutive_local_origin_failure", localSuccessRate: "local_origin_success_rate",
	failurePercentage: "failure_percentage", localFailurePercentage: "failure_percentage_local_origin",
}
