package router

import (
	"strconv"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// retryVerdict is what becomes of a failed try.
type retryVerdict uint8

const (
	retryNo retryVerdict = iota
	retryYes
	retryLimit    // there were enough tries
	retryOverflow // the cluster's retry circuit breaker is open
)

// retryState decides on retries of one request: Envoy's RetryStateImpl.
type retryState struct {
	f       *filter
	policy  *route.RetryPolicy
	on      route.RetryOn
	codes   []uint32 // of the request's own header
	left    uint32
	step    time.Duration // the next back-off's upper bound
	armed   bool          // a retry was granted and holds its circuit breaker
	timeout bool          // it is for a try that took too long

	reset   time.Duration   // the back-off that the response asks for; 0: none
	names   string          // of response headers, from the request's own header
	tried   []*cluster.Host // for predicates and previous_priorities
	leftOut []uint32        // priorities
	begun   int             // of tried, how many previous_priorities has forgotten
	load    *cluster.PriorityLoad
}

// init reads the route's policy and the request's headers, which it removes.
// It returns false when the request is never retried.
func (r *retryState) init(f *filter, h *http.HeaderMap) bool {
	p := f.action.Retry
	r.f, r.policy, r.left = f, p, 1
	if p != nil {
		r.on, r.left = p.On, p.NumRetries
	}
	if h.Has(http.XEnvoyRetryOn) {
		on, _ := route.ParseRetryOn(h.Get(http.XEnvoyRetryOn))
		r.on |= on
	}
	if h.Has(http.XEnvoyRetryGrpcOn) {
		on, _ := route.ParseRetryOn(h.Get(http.XEnvoyRetryGrpcOn))
		r.on |= on
	}
	if r.on != 0 && h.Has(http.XEnvoyMaxRetries) {
		if n, err := strconv.ParseUint(h.Get(http.XEnvoyMaxRetries), 10, 32); err == nil {
			r.left = uint32(n)
		}
	}
	if h.Has(http.XEnvoyRetriableStatusCodes) {
		for _, s := range strings.Split(h.Get(http.XEnvoyRetriableStatusCodes), ",") {
			if n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16); err == nil {
				r.codes = append(r.codes, uint32(n))
			}
		}
	}
	if h.Has(http.XEnvoyRetriableHeaderNames) {
		r.names = h.Own(h.Get(http.XEnvoyRetriableHeaderNames))
	}
	h.Remove(http.XEnvoyRetryOn)
	h.Remove(http.XEnvoyRetryGrpcOn)
	h.Remove(http.XEnvoyMaxRetries)
	h.Remove(http.XEnvoyRetriableStatusCodes)
	h.Remove(http.XEnvoyRetriableHeaderNames)
	h.Remove(http.XEnvoyHedgeOnPerTryTimeout)
	if r.on == 0 {
		return false
	}
	if p != nil && len(p.RequestHeaders) > 0 && !anyMatches(p.RequestHeaders, h) {
		return false
	}
	r.step = r.base()
	return true
}

func anyMatches(ms []matcher.Header, h *http.HeaderMap) bool {
	for i := range ms {
		if ms[i].Match(h) {
			return true
		}
	}
	return false
}

// anyNamed tells whether h has one of the fields in a comma-separated list.
func anyNamed(names string, h *http.HeaderMap) bool {
	for names != "" {
		var name string
		name, names, _ = strings.Cut(names, ",")
		if _, ok := h.GetName(matcher.LowerASCII(strings.TrimSpace(name))); ok {
			return true
		}
	}
	return false
}

// onHeaders decides by a response's head.
func (r *retryState) onHeaders(h *http.HeaderMap, code int) retryVerdict {
	wanted := r.wantsHeaders(h, code)
	r.reset = 0
	if wanted && r.policy != nil && r.policy.RateLimited != nil {
		r.reset = resetInterval(r.policy.RateLimited, h, r.f.cb.Loop().Time())
	}
	return r.grant(wanted)
}

func (r *retryState) wantsHeaders(h *http.HeaderMap, code int) bool {
	if h.Has(http.XEnvoyRateLimited) {
		return r.on&route.RetryEnvoyRateLimited != 0
	}
	switch {
	case r.on&route.Retry5xx != 0 && code >= 500 && code < 600,
		r.on&route.RetryGatewayError != 0 && code >= 502 && code <= 504,
		r.on&route.RetryRetriable4xx != 0 && code == 409:
		return true
	}
	if r.on&route.RetryRetriableStatusCodes != 0 {
		for _, c := range r.codes {
			if int(c) == code {
				return true
			}
		}
		if r.policy != nil {
			for _, c := range r.policy.StatusCodes {
				if int(c) == code {
					return true
				}
			}
		}
	}
	if r.on&route.RetryRetriableHeaders != 0 {
		if r.policy != nil && anyMatches(r.policy.Headers, h) || anyNamed(r.names, h) {
			return true
		}
	}
	if h.Has(http.GrpcStatus) {
		switch h.Get(http.GrpcStatus) {
		case "1":
			return r.on&route.RetryGrpcCancelled != 0
		case "4":
			return r.on&route.RetryGrpcDeadlineExceeded != 0
		case "8":
			return r.on&route.RetryGrpcResourceExhausted != 0
		case "13":
			return r.on&route.RetryGrpcInternal != 0
		case "14":
			return r.on&route.RetryGrpcUnavailable != 0
		}
	}
	return false
}

// wantsReset decides by how a try without a response ended. sent tells that
// the request had begun to go out.
func (r *retryState) wantsReset(reason http.ResetReason, sent bool) bool {
	if reason == http.Overflow {
		return false
	}
	switch {
	case r.on&route.RetryResetBeforeRequest != 0 && !sent,
		r.on&(route.Retry5xx|route.RetryGatewayError|route.RetryReset) != 0,
		r.on&route.RetryRefusedStream != 0 && reason == http.RemoteRefusedStreamReset:
		return true
	}
	if r.on&route.RetryConnectFailure != 0 {
		switch reason {
		case http.LocalConnectionFailure, http.RemoteConnectionFailure, http.ConnectionTimeout:
			return true
		}
	}
	return false
}

// grant turns the wish for a retry into a verdict and takes its place in the
// cluster's circuit breaker.
func (r *retryState) grant(wanted bool) retryVerdict {
	f, st := r.f, r.f.cluster.Stats()
	if r.armed && !wanted {
		st.UpstreamRqRetrySuccess.Inc()
		f.eachCounted(func(c *route.RequestStats) { c.RetrySuccess.Inc() })
	}
	if wanted && r.left == 0 {
		// A retry that was granted to a hedging request goes on.
		st.UpstreamRqRetryLimitExceeded.Inc()
		f.eachCounted(func(c *route.RequestStats) { c.RetryLimitExceeded.Inc() })
		return retryLimit
	}
	if r.cancel(); !wanted {
		return retryNo
	}
	r.left--
	b := f.cluster.Breakers(f.priority())
	if !b.CanCreate(cluster.Retries) {
		st.UpstreamRqRetryOverflow.Inc()
		f.eachCounted(func(c *route.RequestStats) { c.RetryOverflow.Inc() })
		return retryOverflow
	}
	if !f.cfg.runtime.Enabled("upstream.use_retry", 100) {
		return retryNo
	}
	b.Inc(cluster.Retries)
	r.armed = true
	st.UpstreamRqRetry.Inc()
	f.eachCounted(func(c *route.RequestStats) { c.Retry.Inc() })
	return retryYes
}

// cancel gives back what grant took and stops the wait.
func (r *retryState) cancel() {
	if r.armed {
		r.armed = false
		r.f.cluster.Breakers(r.f.priority()).Dec(cluster.Retries)
	}
	r.f.backoff.Disable()
}

// retryAfterReset retries a try that ended without a response, if the policy
// has it so.
func (f *filter) retryAfterReset(u *upstreamRequest, reason http.ResetReason, sent, timeout bool) bool {
	if f.retry == nil || f.responseStarted || u.hedged {
		return false
	}
	return f.retryOn(f.retry.grant(f.retry.wantsReset(reason, sent)), timeout)
}

// retryOn does what the verdict says, and tells whether there is a retry.
func (f *filter) retryOn(v retryVerdict, timeout bool) bool {
	switch v {
	case retryYes:
		f.scheduleRetry(timeout)
		return true
	case retryOverflow:
		f.cb.StreamInfo().SetFlag(streaminfo.UpstreamOverflow)
	case retryLimit:
		f.cb.StreamInfo().SetFlag(streaminfo.UpstreamRetryLimitExceeded)
	}
	return false
}
