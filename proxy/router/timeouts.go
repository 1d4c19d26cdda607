package router

import (
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
)

// timeouts bound one request. 0 is no bound.
type timeouts struct {
	global     time.Duration // from the request's end to the response's
	perTry     time.Duration
	perTryIdle time.Duration
	code       int // the answer at a timeout
}

// timeouts are a route's, changed by the request's headers, which are
// removed; what the upstream should know is added (Envoy's finalTimeout).
func (c *Config) timeouts(a *route.Forward, h *http.HeaderMap, grpc, hedge bool) timeouts {
	t := timeouts{code: 504}
	if p := a.Retry; p != nil {
		t.perTry, t.perTryIdle = p.PerTryTimeout, p.PerTryIdleTimeout
	}
	switch {
	case a.NewTimeouts: // max_stream_duration bounds the request instead
	case grpc && a.MaxGrpcTimeout != route.Unset:
		t.global = grpcTimeout(h, a.MaxGrpcTimeout, a.GrpcTimeoutOffset)
	default:
		t.global = a.Timeout
	}
	if v, ok := millis(h, http.XEnvoyExpectedRqTimeoutMs); ok && c.respectExpectedTimeout {
		t.global = v
	} else if v, ok := millis(h, http.XEnvoyUpstreamRqTimeoutMs); ok {
		t.global = v
	}
	h.Remove(http.XEnvoyUpstreamRqTimeoutMs)
	if v, ok := millis(h, http.XEnvoyUpstreamRqPerTryTimeoutMs); ok {
		t.perTry = v
	}
	h.Remove(http.XEnvoyUpstreamRqPerTryTimeoutMs)
	h.Remove(http.XEnvoyUpstreamStreamDurationMs) // Envoy 1.40 does no more with it
	if h.Has(http.XEnvoyUpstreamRqTimeoutAltResponse) {
		t.code = 204
		h.Remove(http.XEnvoyUpstreamRqTimeoutAltResponse)
	}
	if t.global > 0 && t.perTry >= t.global {
		t.perTry = 0
	}
	c.expect(a, h, &t, 0, grpc, hedge)
	return t
}

// expect tells the upstream how long its answer is waited for, elapsed after
// the request's end (Envoy's setTimeoutHeaders).
func (c *Config) expect(a *route.Forward, h *http.HeaderMap, t *timeouts, elapsed time.Duration, grpc, hedge bool) {
	expected := t.perTry
	if hedge || expected == 0 {
		expected = t.global
	}
	if expected == 0 {
		return
	}
	if t.global > 0 {
		// 0 would mean no bound.
		expected = max(min(expected, t.global-elapsed), time.Millisecond)
	}
	if !c.suppressEnvoyHeaders {
		h.SetInt(http.XEnvoyExpectedRqTimeoutMs, int64(expected/time.Millisecond))
	}
	if grpc && !a.NewTimeouts && a.MaxGrpcTimeout != route.Unset {
		http.SetGrpcTimeout(h, expected)
	}
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
	t, _ := http.ParseGrpcTimeout(h.Get(http.GrpcTimeout))
	// Envoy counts whole milliseconds, those that have begun.
	t = (t + time.Millisecond - 1).Truncate(time.Millisecond)
	if t > offset {
		t -= offset
	}
	if limit != 0 && (t > limit || t == 0) {
		t = limit
	}
	return t
}
