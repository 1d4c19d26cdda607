package streaminfo

// LogType tells at what point of a stream a line is logged; the numbers
// are envoy.data.accesslog.v3.AccessLogType's.
type LogType uint8

const (
	LogNotSet LogType = iota
	LogTCPUpstreamConnected
	LogTCPPeriodic
	LogTCPConnectionEnd
	LogDownstreamStart
	LogDownstreamPeriodic
	LogDownstreamEnd
	LogUpstreamPoolReady
	LogUpstreamPeriodic
	LogUpstreamEnd
	LogDownstreamTunnelEstablished
	LogUDPTunnelUpstreamConnected
	LogUDPPeriodic
	LogUDPSessionEnd
	LogTCPConnectionStart
)

var logTypeNames = [...]string{"NotSet", "TcpUpstreamConnected", "TcpPeriodic", "TcpConnectionEnd", "DownstreamStart",
	"DownstreamPeriodic", "DownstreamEnd", "UpstreamPoolReady", "UpstreamPeriodic", "UpstreamEnd",
	"DownstreamTunnelSuccessfullyEstablished", "UdpTunnelUpstreamConnected", "UdpPeriodic", "UdpSessionEnd", "TcpConnectionStart"}

// String is the name in Envoy's API.
func (t LogType) String() string {
	if int(t) < len(logTypeNames) {
		return logTypeNames[t]
	}
	return ""
}
