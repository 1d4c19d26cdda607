package streaminfo

// Flags are Envoy's response flags, a bit each.
type Flags uint64

const (
	FailedLocalHealthCheck Flags = 1 << iota
	NoHealthyUpstream
	UpstreamRequestTimeout
	LocalReset
	UpstreamRemoteReset
	UpstreamConnectionFailure
	UpstreamConnectionTermination
	UpstreamOverflow
	NoRouteFound
	DelayInjected
	FaultInjected
	RateLimited
	UnauthorizedExternalService
	RateLimitServiceError
	DownstreamConnectionTermination
	UpstreamRetryLimitExceeded
	StreamIdleTimeout
	InvalidEnvoyRequestHeaders
	DownstreamProtocolError
	UpstreamMaxStreamDurationReached
	ResponseFromCacheFilter
	NoFilterConfigFound
	DurationTimeout
	UpstreamProtocolError
	NoClusterFound
	OverloadManager
	DnsResolutionFailed
	DropOverLoad
	DownstreamRemoteReset
	UnconditionalDropOverload
)

var flagNames = []struct{ short, long string }{
	{"LH", "FailedLocalHealthCheck"}, {"UH", "NoHealthyUpstream"}, {"UT", "UpstreamRequestTimeout"}, {"LR", "LocalReset"},
	{"UR", "UpstreamRemoteReset"}, {"UF", "UpstreamConnectionFailure"}, {"UC", "UpstreamConnectionTermination"}, {"UO", "UpstreamOverflow"},
	{"NR", "NoRouteFound"}, {"DI", "DelayInjected"}, {"FI", "FaultInjected"}, {"RL", "RateLimited"}, {"UAEX", "UnauthorizedExternalService"},
	{"RLSE", "RateLimitServiceError"}, {"DC", "DownstreamConnectionTermination"}, {"URX", "UpstreamRetryLimitExceeded"}, {"SI", "StreamIdleTimeout"},
	{"IH", "InvalidEnvoyRequestHeaders"}, {"DPE", "DownstreamProtocolError"}, {"UMSDR", "UpstreamMaxStreamDurationReached"},
	{"RFCF", "ResponseFromCacheFilter"}, {"NFCF", "NoFilterConfigFound"}, {"DT", "DurationTimeout"}, {"UPE", "UpstreamProtocolError"},
	{"NC", "NoClusterFound"}, {"OM", "OverloadManagerTerminated"}, {"DF", "DnsResolutionFailed"}, {"DO", "DropOverload"},
	{"DR", "DownstreamRemoteReset"}, {"UDO", "UnconditionalDropOverload"},
}

// String is the comma-separated short form that %RESPONSE_FLAGS% prints, "-"
// when no flag is set.
func (f Flags) String() string { return string(f.Append(nil, false)) }

// Append appends the short or the long names, comma-separated; "-" when no
// flag is set.
func (f Flags) Append(dst []byte, long bool) []byte {
	if f == 0 {
		return append(dst, '-')
	}
	first := true
	for i := range flagNames {
		if f&(1<<i) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if long {
			dst = append(dst, flagNames[i].long...)
		} else {
			dst = append(dst, flagNames[i].short...)
		}
	}
	return dst
}

// ParseFlag finds a flag by its short name.
func ParseFlag(short string) (Flags, bool) {
	for i := range flagNames {
		if flagNames[i].short == short {
			return 1 << i, true
		}
	}
	return 0, false
}
