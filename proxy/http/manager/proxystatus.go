package manager

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
)

const headerProxyStatus = "proxy-status"

// proxyStatus is proxy_status_config compiled: the Proxy-Status header (RFC
// 9209) of responses that tell of an error.
type proxyStatus struct {
	name        string
	details     bool
	termination bool
	flags       bool
	setCode     bool
}

// proxyError is an error type of RFC 9209 section 2.3, and the status that is
// recommended with it; 0: none.
type proxyError struct {
	name string
	code int
}

var (
	destinationNotFound    = proxyError{"destination_not_found", 500}
	destinationUnavailable = proxyError{"destination_unavailable", 503}
	connectionRefused      = proxyError{"connection_refused", 502}
	connectionTerminated   = proxyError{"connection_terminated", 502}
	connectionTimeout      = proxyError{"connection_timeout", 504}
	connectionLimitReached = proxyError{"connection_limit_reached", 503}
	httpRequestError       = proxyError{"http_request_error", 0}
	httpResponseTimeout    = proxyError{"http_response_timeout", 504}
	httpProtocolError      = proxyError{"http_protocol_error", 502}
	proxyConfiguration     = proxyError{"proxy_configuration_error", 500}
	dnsError               = proxyError{"dns_error", 502}
)

// proxyErrors are Envoy's: the first flag that is set decides.
var proxyErrors = []struct {
	flag streaminfo.Flags
	proxyError
}{
	{streaminfo.FailedLocalHealthCheck, destinationUnavailable},
	{streaminfo.NoHealthyUpstream, destinationUnavailable},
	{streaminfo.UpstreamRequestTimeout, httpResponseTimeout},
	{streaminfo.DurationTimeout, connectionTimeout},
	{streaminfo.LocalReset, connectionTimeout},
	{streaminfo.UpstreamRemoteReset, connectionTerminated},
	{streaminfo.UpstreamConnectionFailure, connectionRefused},
	{streaminfo.UpstreamConnectionTermination, connectionTerminated},
	{streaminfo.UpstreamOverflow, connectionLimitReached},
	{streaminfo.NoRouteFound, destinationNotFound},
	{streaminfo.FaultInjected, httpRequestError},
	{streaminfo.RateLimited, connectionLimitReached},
	{streaminfo.RateLimitServiceError, connectionLimitReached},
	{streaminfo.UpstreamRetryLimitExceeded, destinationUnavailable},
	{streaminfo.StreamIdleTimeout, httpResponseTimeout},
	{streaminfo.InvalidEnvoyRequestHeaders, httpRequestError},
	{streaminfo.DownstreamProtocolError, httpRequestError},
	{streaminfo.UpstreamMaxStreamDurationReached, httpResponseTimeout},
	{streaminfo.NoFilterConfigFound, proxyConfiguration},
	{streaminfo.UpstreamProtocolError, httpProtocolError},
	{streaminfo.NoClusterFound, destinationUnavailable},
	{streaminfo.DnsResolutionFailed, dnsError},
}

// apply tells the response's receiver what went wrong, if anything.
func (p *proxyStatus) apply(h *http.HeaderMap, i *streaminfo.Info) {
	for _, e := range proxyErrors {
		if i.Flags&e.flag == 0 {
			continue
		}
		text := p.text(e.name, i)
		if before, _ := h.GetName(headerProxyStatus); before != "" {
			text = before + ", " + text
		}
		h.SetName(headerProxyStatus, text)
		if p.setCode && e.code != 0 {
			h.Set(http.Status, h.Int(int64(e.code)))
		}
		return
	}
}

func (p *proxyStatus) text(name string, i *streaminfo.Info) string {
	var details []string
	if p.details && i.ResponseCodeDetails != "" {
		details = append(details, i.ResponseCodeDetails)
	}
	if p.termination && i.TerminationDetails != "" {
		details = append(details, i.TerminationDetails)
	}
	if p.flags && i.Flags != 0 {
		details = append(details, string(i.AppendFlags(nil, false)))
	}
	text := p.name + "; error=" + name
	if len(details) > 0 {
		text += `; details="` + strings.Join(details, "; ") + `"`
	}
	return text
}
