package listener

import "github.com/weirproxy/weir/proxy/stats"

// Stats are a listener's, at listener.<address or stat_prefix>.
type Stats struct {
	CxTotal            stats.Counter `stat:"downstream_cx_total"`
	CxDestroy          stats.Counter `stat:"downstream_cx_destroy"`
	CxOverflow         stats.Counter `stat:"downstream_cx_overflow"`
	CxOverloadReject   stats.Counter `stat:"downstream_cx_overload_reject"`
	GlobalCxOverflow   stats.Counter `stat:"downstream_global_cx_overflow"`
	PreCxTimeout       stats.Counter `stat:"downstream_pre_cx_timeout"`
	FilterRemoteClose  stats.Counter `stat:"downstream_listener_filter_remote_close"`
	FilterError        stats.Counter `stat:"downstream_listener_filter_error"`
	TransportTimeout   stats.Counter `stat:"downstream_cx_transport_socket_connect_timeout"`
	NoFilterChainMatch stats.Counter `stat:"no_filter_chain_match"`
	// Connections closed because a filter's configuration is missing.
	ExtensionConfigMissing        stats.Counter `stat:"extension_config_missing"`
	NetworkExtensionConfigMissing stats.Counter `stat:"network_extension_config_missing"`

	CxActive               stats.Gauge     `stat:"downstream_cx_active"`
	PreCxActive            stats.Gauge     `stat:"downstream_pre_cx_active"`
	CxLengthMs             stats.Histogram `stat:"downstream_cx_length_ms"`
	AcceptedPerSocketEvent stats.Histogram `stat:"connections_accepted_per_socket_event"`
}

// HandlerStats are one worker's share, at listener.<…>.worker_<n>.
type HandlerStats struct {
	CxTotal  stats.Counter `stat:"downstream_cx_total"`
	CxActive stats.Gauge   `stat:"downstream_cx_active"`
}

// UDPStats are a UDP listener's, at listener.<…>.udp.
type UDPStats struct {
	Dropped stats.Counter `stat:"downstream_rx_datagram_dropped"`
}

// ManagerStats are at listener_manager. and are kept by main.
type ManagerStats struct {
	Added          stats.Counter `stat:"listener_added"`
	Modified       stats.Counter `stat:"listener_modified"`
	InPlaceUpdated stats.Counter `stat:"listener_in_place_updated"`
	Removed        stats.Counter `stat:"listener_removed"`
	Stopped        stats.Counter `stat:"listener_stopped"`
	CreateSuccess  stats.Counter `stat:"listener_create_success"`
	CreateFailure  stats.Counter `stat:"listener_create_failure"`
	Active         stats.Gauge   `stat:"total_listeners_active"`
	Warming        stats.Gauge   `stat:"total_listeners_warming"`
	Draining       stats.Gauge   `stat:"total_listeners_draining"`
	ChainsDraining stats.Gauge   `stat:"total_filter_chains_draining"`
	WorkersStarted stats.Gauge   `stat:"workers_started"`
	WorkersPinned  stats.Gauge   `stat:"workers_pinned"` // to CPUs: none is
}
