package overload

import "github.com/weirproxy/weir/proxy/stats"

// Point is a place where work is refused under load (loadshed_points).
type Point int

// The points that weir has.
const (
	ListenerAccept      Point = iota // accepted connections are closed
	DecodeHeaders                    // requests are answered 503
	HTTP1AbortDispatch               // HTTP/1 connections are closed when bytes come
	HTTP2GoAway                      // HTTP/2 connections take no more streams
	HTTP2GoAwayAndClose              // they are closed as well
	CreatingCodec                    // connections are closed at their first bytes
	PoolNewConnection                // upstream connections are not made
	RouterRequest                    // requests are answered 503 by the router
	TCPProxyConnect                  // tcp_proxy closes connections instead of connecting
	TCPProxyData                     // tcp_proxy closes them when bytes come
	HTTP3GoAway                      // of HTTP/3, which weir does not speak
	HTTP3GoAwayAndClose
	numPoints
)

var pointNames = [numPoints]string{
	"envoy.load_shed_points.tcp_listener_accept",
	"envoy.load_shed_points.http_connection_manager_decode_headers",
	"envoy.load_shed_points.http1_server_abort_dispatch",
	"envoy.load_shed_points.http2_server_go_away_on_dispatch",
	"envoy.load_shed_points.http2_server_go_away_and_close_on_dispatch",
	"envoy.load_shed_points.hcm_ondata_creating_codec",
	"envoy.load_shed_points.connection_pool_new_connection",
	"envoy.load_shed_points.http_downstream_filter_check",
	"envoy.load_shed_points.tcp_proxy_upstream_connect",
	"envoy.load_shed_points.tcp_proxy_on_data",
	"envoy.load_shed_points.http3_server_go_away_on_dispatch",
	"envoy.load_shed_points.http3_server_go_away_and_close_on_dispatch",
}

// point is a Point's state.
type point struct {
	state
	shed *stats.SharedCounter
}

// Watches tells whether the point is configured at all.
func (m *Manager) Watches(p Point) bool { return m != nil && m.points[p].triggers != nil }

// Sheds tells that what is about to be done at the point is to be refused, and
// counts it. Any goroutine may ask.
func (m *Manager) Sheds(p Point) bool {
	if !m.Watches(p) || !m.points[p].chance() {
		return false
	}
	m.points[p].shed.Inc()
	return true
}
