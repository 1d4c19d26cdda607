package extproc

import "github.com/weirproxy/weir/proxy/stats"

// Stats are under http.<prefix>.ext_proc.
type Stats struct {
	ClearRouteCacheDisabled        stats.Counter `stat:"clear_route_cache_disabled"`
	ClearRouteCacheIgnored         stats.Counter `stat:"clear_route_cache_ignored"`
	ClearRouteCacheUpstreamIgnored stats.Counter `stat:"clear_route_cache_upstream_ignored"`
	FailureModeAllowed             stats.Counter `stat:"failure_mode_allowed"`
	HTTPNotOK                      stats.Counter `stat:"http_not_ok_resp_received"`
	ImmediateResponsesSent         stats.Counter `stat:"immediate_responses_sent"`
	MessageTimeouts                stats.Counter `stat:"message_timeouts"`
	OverrideTimeoutIgnored         stats.Counter `stat:"override_message_timeout_ignored"`
	OverrideTimeoutReceived        stats.Counter `stat:"override_message_timeout_received"`
	RejectedHeaderMutations        stats.Counter `stat:"rejected_header_mutations"`
	ServerHalfClosed               stats.Counter `stat:"server_half_closed"`
	SpuriousMsgsReceived           stats.Counter `stat:"spurious_msgs_received"`
	StreamMsgsReceived             stats.Counter `stat:"stream_msgs_received"`
	StreamMsgsSent                 stats.Counter `stat:"stream_msgs_sent"`
	StreamsClosed                  stats.Counter `stat:"streams_closed"`
	StreamsFailed                  stats.Counter `stat:"streams_failed"`
	StreamsStarted                 stats.Counter `stat:"streams_started"`
}
