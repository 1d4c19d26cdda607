package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/http/http1"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are the manager's statistics under http.<stat_prefix>., with Envoy's
// names.
type Stats struct {
	DownstreamCxActive                       stats.Gauge     `stat:"downstream_cx_active"`
	DownstreamCxDelayedCloseTimeout          stats.Counter   `stat:"downstream_cx_delayed_close_timeout"`
	DownstreamCxDestroy                      stats.Counter   `stat:"downstream_cx_destroy"`
	DownstreamCxDestroyActiveRq              stats.Counter   `stat:"downstream_cx_destroy_active_rq"`
	DownstreamCxDestroyLocal                 stats.Counter   `stat:"downstream_cx_destroy_local"`
	DownstreamCxDestroyLocalActiveRq         stats.Counter   `stat:"downstream_cx_destroy_local_active_rq"`
	DownstreamCxDestroyRemote                stats.Counter   `stat:"downstream_cx_destroy_remote"`
	DownstreamCxDestroyRemoteActiveRq        stats.Counter   `stat:"downstream_cx_destroy_remote_active_rq"`
	DownstreamCxDrainClose                   stats.Counter   `stat:"downstream_cx_drain_close"`
	DownstreamCxHttp1Active                  stats.Gauge     `stat:"downstream_cx_http1_active"`
	DownstreamCxHttp1SoftDrain               stats.Gauge     `stat:"downstream_cx_http1_soft_drain"`
	DownstreamCxHttp1Total                   stats.Counter   `stat:"downstream_cx_http1_total"`
	DownstreamCxHttp2Active                  stats.Gauge     `stat:"downstream_cx_http2_active"`
	DownstreamCxHttp2Total                   stats.Counter   `stat:"downstream_cx_http2_total"`
	DownstreamCxHttp3Active                  stats.Gauge     `stat:"downstream_cx_http3_active"`
	DownstreamCxHttp3Total                   stats.Counter   `stat:"downstream_cx_http3_total"`
	DownstreamCxIdleTimeout                  stats.Counter   `stat:"downstream_cx_idle_timeout"`
	DownstreamCxMaxDurationReached           stats.Counter   `stat:"downstream_cx_max_duration_reached"`
	DownstreamCxMaxRequestsReached           stats.Counter   `stat:"downstream_cx_max_requests_reached"`
	DownstreamCxOverloadDisableKeepalive     stats.Counter   `stat:"downstream_cx_overload_disable_keepalive"`
	DownstreamCxProtocolError                stats.Counter   `stat:"downstream_cx_protocol_error"`
	DownstreamCxRxBytesBuffered              stats.Gauge     `stat:"downstream_cx_rx_bytes_buffered"`
	DownstreamCxRxBytesTotal                 stats.Counter   `stat:"downstream_cx_rx_bytes_total"`
	DownstreamCxSslActive                    stats.Gauge     `stat:"downstream_cx_ssl_active"`
	DownstreamCxSslTotal                     stats.Counter   `stat:"downstream_cx_ssl_total"`
	DownstreamCxTotal                        stats.Counter   `stat:"downstream_cx_total"`
	DownstreamCxTxBytesBuffered              stats.Gauge     `stat:"downstream_cx_tx_bytes_buffered"`
	DownstreamCxTxBytesTotal                 stats.Counter   `stat:"downstream_cx_tx_bytes_total"`
	DownstreamCxUpgradesActive               stats.Gauge     `stat:"downstream_cx_upgrades_active"`
	DownstreamCxUpgradesTotal                stats.Counter   `stat:"downstream_cx_upgrades_total"`
	DownstreamFlowControlPausedReadingTotal  stats.Counter   `stat:"downstream_flow_control_paused_reading_total"`
	DownstreamFlowControlResumedReadingTotal stats.Counter   `stat:"downstream_flow_control_resumed_reading_total"`
	DownstreamRq1xx                          stats.Counter   `stat:"downstream_rq_1xx"`
	DownstreamRq2xx                          stats.Counter   `stat:"downstream_rq_2xx"`
	DownstreamRq3xx                          stats.Counter   `stat:"downstream_rq_3xx"`
	DownstreamRq4xx                          stats.Counter   `stat:"downstream_rq_4xx"`
	DownstreamRq5xx                          stats.Counter   `stat:"downstream_rq_5xx"`
	DownstreamRqActive                       stats.Gauge     `stat:"downstream_rq_active"`
	DownstreamRqCompleted                    stats.Counter   `stat:"downstream_rq_completed"`
	DownstreamRqFailedPathNormalization      stats.Counter   `stat:"downstream_rq_failed_path_normalization"`
	DownstreamRqHeaderTimeout                stats.Counter   `stat:"downstream_rq_header_timeout"`
	DownstreamRqHttp1Total                   stats.Counter   `stat:"downstream_rq_http1_total"`
	DownstreamRqHttp2Total                   stats.Counter   `stat:"downstream_rq_http2_total"`
	DownstreamRqHttp3Total                   stats.Counter   `stat:"downstream_rq_http3_total"`
	DownstreamRqIdleTimeout                  stats.Counter   `stat:"downstream_rq_idle_timeout"`
	DownstreamRqMaxDurationReached           stats.Counter   `stat:"downstream_rq_max_duration_reached"`
	DownstreamRqNonRelativePath              stats.Counter   `stat:"downstream_rq_non_relative_path"`
	DownstreamRqOverloadClose                stats.Counter   `stat:"downstream_rq_overload_close"`
	DownstreamRqRedirectedWithNormalizedPath stats.Counter   `stat:"downstream_rq_redirected_with_normalized_path"`
	DownstreamRqRejectedViaIpDetection       stats.Counter   `stat:"downstream_rq_rejected_via_ip_detection"`
	DownstreamRqResponseBeforeRqComplete     stats.Counter   `stat:"downstream_rq_response_before_rq_complete"`
	DownstreamRqRxReset                      stats.Counter   `stat:"downstream_rq_rx_reset"`
	DownstreamRqTimeout                      stats.Counter   `stat:"downstream_rq_timeout"`
	DownstreamRqTooLarge                     stats.Counter   `stat:"downstream_rq_too_large"`
	DownstreamRqTooManyPrematureResets       stats.Counter   `stat:"downstream_rq_too_many_premature_resets"`
	DownstreamRqTotal                        stats.Counter   `stat:"downstream_rq_total"`
	DownstreamRqTxReset                      stats.Counter   `stat:"downstream_rq_tx_reset"`
	DownstreamRqWsOnNonWsRoute               stats.Counter   `stat:"downstream_rq_ws_on_non_ws_route"`
	RsTooLarge                               stats.Counter   `stat:"rs_too_large"`
	DownstreamCxLengthMs                     stats.Histogram `stat:"downstream_cx_length_ms"`
	DownstreamRqTime                         stats.Histogram `stat:"downstream_rq_time"`
}

// ListenerStats count the manager's responses under
// listener.<address>.http.<stat_prefix>. as well.
type ListenerStats struct {
	DownstreamRq1xx       stats.Counter `stat:"downstream_rq_1xx"`
	DownstreamRq2xx       stats.Counter `stat:"downstream_rq_2xx"`
	DownstreamRq3xx       stats.Counter `stat:"downstream_rq_3xx"`
	DownstreamRq4xx       stats.Counter `stat:"downstream_rq_4xx"`
	DownstreamRq5xx       stats.Counter `stat:"downstream_rq_5xx"`
	DownstreamRqCompleted stats.Counter `stat:"downstream_rq_completed"`
}

// CountStatus counts a response.
func (s *Stats) CountStatus(code int) {
	s.DownstreamRqCompleted.Inc()
	switch code / 100 {
	case 1:
		s.DownstreamRq1xx.Inc()
	case 2:
		s.DownstreamRq2xx.Inc()
	case 3:
		s.DownstreamRq3xx.Inc()
	case 4:
		s.DownstreamRq4xx.Inc()
	case 5:
		s.DownstreamRq5xx.Inc()
	}
}

// CountStatus counts a response.
func (s *ListenerStats) CountStatus(code int) {
	s.DownstreamRqCompleted.Inc()
	switch code / 100 {
	case 1:
		s.DownstreamRq1xx.Inc()
	case 2:
		s.DownstreamRq2xx.Inc()
	case 3:
		s.DownstreamRq3xx.Inc()
	case 4:
		s.DownstreamRq4xx.Inc()
	case 5:
		s.DownstreamRq5xx.Inc()
	}
}

func (s *Stats) rqProtocol(p http.ProtocolVersion) {
	switch p {
	case http.HTTP2:
		s.DownstreamRqHttp2Total.Inc()
	case http.HTTP3:
		s.DownstreamRqHttp3Total.Inc()
	default:
		s.DownstreamRqHttp1Total.Inc()
	}
}

func (s *Stats) cxProtocol(p http.ProtocolVersion) {
	switch p {
	case http.HTTP2:
		s.DownstreamCxHttp2Total.Inc()
		s.DownstreamCxHttp2Active.Inc()
	case http.HTTP3:
		s.DownstreamCxHttp3Total.Inc()
		s.DownstreamCxHttp3Active.Inc()
	default:
		s.DownstreamCxHttp1Total.Inc()
		s.DownstreamCxHttp1Active.Inc()
	}
}

func (s *Stats) cxProtocolEnd(p http.ProtocolVersion) {
	switch p {
	case http.HTTP2:
		s.DownstreamCxHttp2Active.Dec()
	case http.HTTP3:
		s.DownstreamCxHttp3Active.Dec()
	default:
		s.DownstreamCxHttp1Active.Dec()
	}
}

// CountHTTP1 has the HTTP/1 codec's statistics on the pages for as long as the
// process lives: the admin pages speak HTTP/1, too.
func CountHTTP1(st *stats.Store) {
	stats.NewGroup[http1Stats](st, stats.Scope{Prefix: "http1."})
}

// http1Stats are the HTTP/1 codec's under http1., shared by all managers.
type http1Stats struct {
	DroppedHeadersWithUnderscores          stats.Counter `stat:"dropped_headers_with_underscores"`
	MetadataNotSupportedError              stats.Counter `stat:"metadata_not_supported_error"`
	RequestsRejectedWithUnderscoresHeaders stats.Counter `stat:"requests_rejected_with_underscores_in_headers"`
	ResponseFlood                          stats.Counter `stat:"response_flood"`
}

func (s *http1Stats) counters() http1.Counters {
	return http1.Counters{
		DroppedHeadersWithUnderscores:  (*uint64)(&s.DroppedHeadersWithUnderscores),
		RequestsRejectedWithUnderscore: (*uint64)(&s.RequestsRejectedWithUnderscoresHeaders),
		MetadataNotSupported:           (*uint64)(&s.MetadataNotSupportedError),
		ResponseFlood:                  (*uint64)(&s.ResponseFlood),
	}
}
