package cluster

import "github.com/weirproxy/weir/proxy/stats"

// Stats are the statistics that workers keep of a cluster, "cluster.<name>.".
// A worker has them once it is asked for the cluster.
type Stats struct {
	RetryOrShadowAbandoned            stats.Counter `stat:"retry_or_shadow_abandoned"`
	BindErrors                        stats.Counter `stat:"bind_errors"`
	OriginalDstHostInvalid            stats.Counter `stat:"original_dst_host_invalid"`
	Default                           BreakerStats  `stat:"circuit_breakers.default."`
	High                              BreakerStats  `stat:"circuit_breakers.high."`
	LB                                LBStats       `stat:"lb_"`
	UpstreamCxTotal                   stats.Counter `stat:"upstream_cx_total"`
	UpstreamCxActive                  stats.Gauge   `stat:"upstream_cx_active"`
	UpstreamCxHTTP1Total              stats.Counter `stat:"upstream_cx_http1_total"`
	UpstreamCxHTTP2Total              stats.Counter `stat:"upstream_cx_http2_total"`
	UpstreamCxHTTP3Total              stats.Counter `stat:"upstream_cx_http3_total"`
	UpstreamCxCloseNotify             stats.Counter `stat:"upstream_cx_close_notify"`
	UpstreamCxConnectFail             stats.Counter `stat:"upstream_cx_connect_fail"`
	UpstreamCxAttemptsExceed          stats.Counter `stat:"upstream_cx_connect_attempts_exceeded"`
	UpstreamCxConnectTimeout          stats.Counter `stat:"upstream_cx_connect_timeout"`
	UpstreamCxConnectWith0rtt         stats.Counter `stat:"upstream_cx_connect_with_0_rtt"`
	UpstreamCxDestroy                 stats.Counter `stat:"upstream_cx_destroy"`
	UpstreamCxDestroyLocal            stats.Counter `stat:"upstream_cx_destroy_local"`
	UpstreamCxDestroyRemote           stats.Counter `stat:"upstream_cx_destroy_remote"`
	UpstreamCxDestroyActive           stats.Counter `stat:"upstream_cx_destroy_with_active_rq"`
	UpstreamCxDestroyLocalActive      stats.Counter `stat:"upstream_cx_destroy_local_with_active_rq"`
	UpstreamCxDestroyRemoteActive     stats.Counter `stat:"upstream_cx_destroy_remote_with_active_rq"`
	UpstreamCxIdleTimeout             stats.Counter `stat:"upstream_cx_idle_timeout"`
	UpstreamCxMaxDuration             stats.Counter `stat:"upstream_cx_max_duration_reached"`
	UpstreamCxMaxRequests             stats.Counter `stat:"upstream_cx_max_requests"`
	UpstreamCxNoneHealthy             stats.Counter `stat:"upstream_cx_none_healthy"`
	UpstreamCxOverflow                stats.Counter `stat:"upstream_cx_overflow"`
	UpstreamCxPoolOverflow            stats.Counter `stat:"upstream_cx_pool_overflow"`
	UpstreamCxPreconnectSkipped       stats.Counter `stat:"upstream_cx_preconnect_skipped"`
	UpstreamCxProtocolError           stats.Counter `stat:"upstream_cx_protocol_error"`
	UpstreamCxRxBytesTotal            stats.Counter `stat:"upstream_cx_rx_bytes_total"`
	UpstreamCxTxBytesTotal            stats.Counter `stat:"upstream_cx_tx_bytes_total"`
	UpstreamCxRxBuffered              stats.Gauge   `stat:"upstream_cx_rx_bytes_buffered"`
	UpstreamCxTxBuffered              stats.Gauge   `stat:"upstream_cx_tx_bytes_buffered"`
	UpstreamFlowControlBackedUp       stats.Counter `stat:"upstream_flow_control_backed_up_total"`
	UpstreamFlowControlDrained        stats.Counter `stat:"upstream_flow_control_drained_total"`
	UpstreamFlowControlPaused         stats.Counter `stat:"upstream_flow_control_paused_reading_total"`
	UpstreamFlowControlResumed        stats.Counter `stat:"upstream_flow_control_resumed_reading_total"`
	UpstreamHTTP3Broken               stats.Counter `stat:"upstream_http3_broken"`
	UpstreamInternalRedirectFailed    stats.Counter `stat:"upstream_internal_redirect_failed_total"`
	UpstreamInternalRedirectSucceeded stats.Counter `stat:"upstream_internal_redirect_succeeded_total"`
	UpstreamQueueOverloaded           stats.Gauge   `stat:"upstream_queue_overloaded"`
	UpstreamRq0rtt                    stats.Counter `stat:"upstream_rq_0rtt"`
	UpstreamRqTotal                   stats.Counter `stat:"upstream_rq_total"`
	UpstreamRqActive                  stats.Gauge   `stat:"upstream_rq_active"`
	UpstreamRqActiveOverflow          stats.Counter `stat:"upstream_rq_active_overflow"`
	UpstreamRqCancelled               stats.Counter `stat:"upstream_rq_cancelled"`
	UpstreamRqMaintenance             stats.Counter `stat:"upstream_rq_maintenance_mode"`
	UpstreamRqMaxDuration             stats.Counter `stat:"upstream_rq_max_duration_reached"`
	UpstreamRqPendingTotal            stats.Counter `stat:"upstream_rq_pending_total"`
	UpstreamRqPendingActive           stats.Gauge   `stat:"upstream_rq_pending_active"`
	UpstreamRqPendingFailureEject     stats.Counter `stat:"upstream_rq_pending_failure_eject"`
	UpstreamRqPendingOverflow         stats.Counter `stat:"upstream_rq_pending_overflow"`
	UpstreamRqPerTryIdleTimeout       stats.Counter `stat:"upstream_rq_per_try_idle_timeout"`
	UpstreamRqPerTryTimeout           stats.Counter `stat:"upstream_rq_per_try_timeout"`
	UpstreamRqRetry                   stats.Counter `stat:"upstream_rq_retry"`
	UpstreamRqRetryBackoffExponential stats.Counter `stat:"upstream_rq_retry_backoff_exponential"`
	UpstreamRqRetryBackoffRatelimited stats.Counter `stat:"upstream_rq_retry_backoff_ratelimited"`
	UpstreamRqRetryLimitExceeded      stats.Counter `stat:"upstream_rq_retry_limit_exceeded"`
	UpstreamRqRetryOverflow           stats.Counter `stat:"upstream_rq_retry_overflow"`
	UpstreamRqRetrySuccess            stats.Counter `stat:"upstream_rq_retry_success"`
	UpstreamRqRxReset                 stats.Counter `stat:"upstream_rq_rx_reset"`
	UpstreamRqRxResetNoError          stats.Counter `stat:"upstream_rq_rx_reset_no_error"`
	UpstreamRqTimeout                 stats.Counter `stat:"upstream_rq_timeout"`
	UpstreamRqTxReset                 stats.Counter `stat:"upstream_rq_tx_reset"`

	UpstreamCxConnectMs stats.Histogram `stat:"upstream_cx_connect_ms"`
	UpstreamCxLengthMs  stats.Histogram `stat:"upstream_cx_length_ms"`
	UpstreamRqPerCx     stats.Histogram `stat:"upstream_rq_per_cx"`

	ResponseStats
	RetryRq stats.Codes `stat:"retry.upstream_rq_"` // responses that were not passed on
}

// ResponseStats are what each response counts in: a cluster's, and those of the
// name that a request gives in x-envoy-upstream-alt-stat-name, under
// cluster.<name>.<alternative name>.
type ResponseStats struct {
	UpstreamRq stats.Codes `stat:"upstream_rq_"`
	InternalRq stats.Codes `stat:"internal.upstream_rq_"`
	ExternalRq stats.Codes `stat:"external.upstream_rq_"`
	CanaryRq   stats.Codes `stat:"canary.upstream_rq_"`

	UpstreamRqTime stats.Histogram `stat:"upstream_rq_time,omitempty"`
	InternalRqTime stats.Histogram `stat:"internal.upstream_rq_time,omitempty"`
	ExternalRqTime stats.Histogram `stat:"external.upstream_rq_time,omitempty"`
	CanaryRqTime   stats.Histogram `stat:"canary.upstream_rq_time,omitempty"`
}

// Charge counts a response of a canary, or not, to an internal request, or not.
func (s *ResponseStats) Charge(code int, canary, internal bool) {
	s.UpstreamRq.Inc(code)
	s.ChargeParts(code, canary, internal)
}

// ChargeParts is Charge without the count of all.
func (s *ResponseStats) ChargeParts(code int, canary, internal bool) {
	if canary {
		s.CanaryRq.Inc(code)
	}
	if internal {
		s.InternalRq.Inc(code)
	} else {
		s.ExternalRq.Inc(code)
	}
}

// ChargeTime counts how long such a response took, in milliseconds.
func (s *ResponseStats) ChargeTime(ms uint64, canary, internal bool) {
	s.UpstreamRqTime.Record(ms)
	if canary {
		s.CanaryRqTime.Record(ms)
	}
	if internal {
		s.InternalRqTime.Record(ms)
	} else {
		s.ExternalRqTime.Record(ms)
	}
}

// ZoneStats are what responses count in by zone, where the proxy's and the
// host's are known: "cluster.<name>.zone.<the proxy's>.<the host's>.".
type ZoneStats struct {
	UpstreamRq     stats.Codes     `stat:"upstream_rq_"`
	UpstreamRqTime stats.Histogram `stat:"upstream_rq_time,omitempty"`
}

// ChargeZone counts a response of h, which may be nil, in the statistics of its
// zone. Only on worker.
func (h *Host) ChargeZone(worker, code int) {
	if h != nil && h.Zone != nil {
		h.Zone.For(worker).UpstreamRq.Inc(code)
	}
}

// ChargeZoneTime counts how long h took for a response, in milliseconds.
func (h *Host) ChargeZoneTime(worker int, ms uint64) {
	if h != nil && h.Zone != nil {
		h.Zone.For(worker).UpstreamRqTime.Record(ms)
	}
}

// SizeStats are the histograms of track_cluster_stats.request_response_sizes,
// in bytes and lines.
type SizeStats struct {
	RequestHeaders      stats.Histogram `stat:"upstream_rq_headers_size"`
	RequestHeaderCount  stats.Histogram `stat:"upstream_rq_headers_count"`
	RequestBody         stats.Histogram `stat:"upstream_rq_body_size"`
	ResponseHeaders     stats.Histogram `stat:"upstream_rs_headers_size"`
	ResponseHeaderCount stats.Histogram `stat:"upstream_rs_headers_count"`
	ResponseBody        stats.Histogram `stat:"upstream_rs_body_size"`
}

// BudgetStats are the histograms of track_cluster_stats.timeout_budgets, in
// percent of a request's or try's timeout.
type BudgetStats struct {
	Request stats.Histogram `stat:"upstream_rq_timeout_budget_percent_used"`
	PerTry  stats.Histogram `stat:"upstream_rq_timeout_budget_per_try_percent_used"`
}

// LBStats are the load balancers'.
type LBStats struct {
	HealthyPanic              stats.Counter `stat:"healthy_panic"`
	LocalClusterNotOK         stats.Counter `stat:"local_cluster_not_ok"`
	RecalculateZoneStructures stats.Counter `stat:"recalculate_zone_structures"`
	SubsetsActive             stats.Gauge   `stat:"subsets_active"`
	SubsetsCreated            stats.Counter `stat:"subsets_created"`
	SubsetsFallback           stats.Counter `stat:"subsets_fallback"`
	SubsetsFallbackPanic      stats.Counter `stat:"subsets_fallback_panic"`
	SubsetsRemoved            stats.Counter `stat:"subsets_removed"`
	SubsetsSelected           stats.Counter `stat:"subsets_selected"`
	ZoneClusterTooSmall       stats.Counter `stat:"zone_cluster_too_small"`
	ZoneNoCapacityLeft        stats.Counter `stat:"zone_no_capacity_left"`
	ZoneRoutingAllDirectly    stats.Counter `stat:"zone_routing_all_directly"`
	ZoneRoutingCrossZone      stats.Counter `stat:"zone_routing_cross_zone"`
	ZoneRoutingSampled        stats.Counter `stat:"zone_routing_sampled"`
}

// HTTP1Stats are the upstream HTTP/1 codec's, shown once the cluster has
// spoken it.
type HTTP1Stats struct {
	DroppedHeadersWithUnderscores stats.Counter `stat:"http1.dropped_headers_with_underscores"`
	MetadataNotSupported          stats.Counter `stat:"http1.metadata_not_supported_error"`
	RequestsRejectedUnderscores   stats.Counter `stat:"http1.requests_rejected_with_underscores_in_headers"`
	ResponseFlood                 stats.Counter `stat:"http1.response_flood"`
}

// BreakerStats are the gauges of one priority's circuit breakers.
type BreakerStats struct {
	CxOpen        stats.Gauge `stat:"cx_open"`
	CxPoolOpen    stats.Gauge `stat:"cx_pool_open"`
	RqOpen        stats.Gauge `stat:"rq_open"`
	RqPendingOpen stats.Gauge `stat:"rq_pending_open"`
	RqRetryOpen   stats.Gauge `stat:"rq_retry_open"`
}

// RemainingStats are the gauges that track_remaining adds,
// "cluster.<name>.circuit_breakers.<priority>.".
type RemainingStats struct {
	Cx      stats.Gauge `stat:"remaining_cx"`
	CxPools stats.Gauge `stat:"remaining_cx_pools"`
	Pending stats.Gauge `stat:"remaining_pending"`
	Retries stats.Gauge `stat:"remaining_retries"`
	Rq      stats.Gauge `stat:"remaining_rq"`
}

// Breakers are the gauges of a priority.
func (s *Stats) Breakers(p Priority) *BreakerStats {
	if p == High {
		return &s.High
	}
	return &s.Default
}

func (s *BreakerStats) open(k Kind) *stats.Gauge {
	switch k {
	case Connections:
		return &s.CxOpen
	case Pending:
		return &s.RqPendingOpen
	case Requests:
		return &s.RqOpen
	}
	return &s.RqRetryOpen
}

func (s *RemainingStats) of(k Kind) *stats.Gauge {
	switch k {
	case Connections:
		return &s.Cx
	case Pending:
		return &s.Pending
	case Requests:
		return &s.Rq
	}
	return &s.Retries
}
