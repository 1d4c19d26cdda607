package streaminfo

import "strings"

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
func (f Flags) String() string { return f.join(false) }

// Long is the form of %RESPONSE_FLAGS_LONG%.
func (f Flags) Long() string { return f.join(true) }

func (f Flags) join(long bool) string {
	if f == 0 {
		return "-"
	}
	var out []string
	for i, n := range flagNames {
		if f&(1<<i) == 0 {
			continue
		}
		if long {
			out = append(out, n.long)
		} else {
			out = append(out, n.short)
		}
	}
	return strings.Join(out, ",")
}

// ParseFlag finds a flag by its short name.
func ParseFlag(short string) (Flags, bool) {
	for i, n := range flagNames {
		if n.short == short {
			return 1 << i, true
		}
	}
	return 0, false
}
