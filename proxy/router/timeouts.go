package router

import (
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
)

// timeouts bound one request. 0 is no bound.
type timeouts struct {
	global time.Duration // from the request's end to the response's
	perTry time.Duration
	code   int // the answer at a timeout
}

// timeouts are a route's, changed by the request's headers, which are
// removed; what the upstream should know is added (Envoy's finalTimeout).
func (c *Config) timeouts(a *route.Forward, h *http.HeaderMap, grpc bool) timeouts {
	t := timeouts{global: a.Timeout, code: 504}
	if p := a.Retry; p != nil {
		t.perTry = p.PerTryTimeout
	}
	switch {
	case a.GrpcTimeoutHeaderMax != route.Unset && h.Has(http.GrpcTimeout):
		t.global = grpcTimeout(h, a.GrpcTimeoutHeaderMax, a.GrpcTimeoutHeaderOffset)
	case grpc && a.MaxGrpcTimeout != route.Unset:
		t.global = grpcTimeout(h, a.MaxGrpcTimeout, a.GrpcTimeoutOffset)
	}
	if v, ok := millis(h, http.XEnvoyUpstreamRqTimeoutMs); ok {
		t.global = v
	}
	h.Remove(http.XEnvoyUpstreamRqTimeoutMs)
	if v, ok := millis(h, http.XEnvoyUpstreamRqPerTryTimeoutMs); ok {
		t.perTry = v
	}
	h.Remove(http.XEnvoyUpstreamRqPerTryTimeoutMs)
	if h.Has(http.XEnvoyUpstreamRqTimeoutAltResponse) {
		t.code = 204
		h.Remove(http.XEnvoyUpstreamRqTimeoutAltResponse)
	}
	if t.global > 0 && t.perTry >= t.global {
		t.perTry = 0
	}
	expected := t.perTry
	if expected == 0 {
		expected = t.global
	}
	if expected > 0 && !c.suppressEnvoyHeaders {
		h.SetInt(http.XEnvoyExpectedRqTimeoutMs, int64(expected/time.Millisecond))
	}
	return t
}

func millis(h *http.HeaderMap, id http.HeaderID) (time.Duration, bool) {
	if !h.Has(id) {
		return 0, false
	}
	n, err := strconv.ParseUint(h.Get(id), 10, 40)
	return time.Duration(n) * time.Millisecond, err == nil
}

// grpcTimeout is the grpc-timeout header's value, at most limit (0: no limit).
func grpcTimeout(h *http.HeaderMap, limit time.Duration, offset time.Duration) time.Duration {
	t := parseGrpcTimeout(h.Get(http.GrpcTimeout))
	if t > offset {
		t -= offset
	}
	if limit != 0 && (t > limit || t == 0) {
		t = limit
	}
	return t
}

// parseGrpcTimeout reads "100m" and the like (gRPC over HTTP/2, "Requests");
// 0 when there is none.
func parseGrpcTimeout(s string) time.Duration {
	if len(s) < 2 || len(s) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil {
		return 0
	}
	switch s[len(s)-1] {
	case 'H':
		return time.Duration(n) * time.Hour
	case 'M':
		return time.Duration(n) * time.Minute
	case 'S':
		return time.Duration(n) * time.Second
	case 'm':
		return time.Duration(n) * time.Millisecond
	case 'u':
		return time.Duration(n) * time.Microsecond
	case 'n':
		return time.Duration(n)
	}
	return 0
}
