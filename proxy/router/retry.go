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

func (r *retryState) base() time.Duration {
	if r.policy != nil && r.policy.BaseInterval > 0 {
		return r.policy.BaseInterval
	}
	return 25 * time.Millisecond
}

func (r *retryState) max() time.Duration {
	if r.policy != nil && r.policy.MaxInterval > 0 {
		return r.policy.MaxInterval
	}
	return 10 * r.base()
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

// resetInterval is when the response says to come again; 0 when it does not,
// or later than the policy has it.
func resetInterval(p *route.RateLimitedBackOff, h *http.HeaderMap, now time.Time) time.Duration {
	for i := range p.Headers {
		v, ok := h.GetName(p.Headers[i].Name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 40)
		if err != nil || n < 0 {
			continue
		}
		wait := time.Duration(n) * time.Second
		if p.Headers[i].UnixTimestamp {
			wait = time.Unix(n, 0).Sub(now)
		}
		if wait > 0 && wait <= p.MaxInterval {
			return wait
		}
	}
	return 0
}

func (r *retryState) wantsHeaders(h *http.HeaderMap, code int) bool {
	if h.Has(http.XEnvoyOverloaded) {
		return false
	}
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
	r.cancel()
	if !wanted {
		return retryNo
	}
	if r.left == 0 {
		st.UpstreamRqRetryLimitExceeded.Inc()
		f.eachCounted(func(c *route.RequestStats) { c.RetryLimitExceeded.Inc() })
		return retryLimit
	}
	r.left--
	b := f.cluster.Breakers(f.priority())
	if !b.CanCreate(cluster.Retries) {
		st.UpstreamRqRetryOverflow.Inc()
		f.eachCounted(func(c *route.RequestStats) { c.RetryOverflow.Inc() })
		return retryOverflow
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

// scheduleRetry waits for the back-off: what the response asks for, else a
// random time below a bound that doubles. timeout tells that the try before
// took too long.
func (f *filter) scheduleRetry(timeout bool) {
	r, st, rand := f.retry, f.cluster.Stats(), f.cfg.rand(f.cb.Worker())
	r.timeout = timeout
	r.remember(f.host)
	if r.reset > 0 {
		st.UpstreamRqRetryBackoffRatelimited.Inc()
		r.f.backoff.Enable(r.reset + time.Duration(rand.Int64N(int64(r.reset/2)+1)))
		r.reset = 0
		return
	}
	st.UpstreamRqRetryBackoffExponential.Inc()
	wait := time.Duration(rand.Int64N(int64(max(r.step, time.Millisecond))))
	r.step = min(2*r.step, r.max())
	r.f.backoff.Enable(wait)
}

// remember keeps a host that was tried, when the policy wants to know.
func (r *retryState) remember(h *cluster.Host) {
	if p := r.policy; p != nil && h != nil && (p.OmitPreviousHosts || p.PreviousPriorities > 0) {
		r.tried = append(r.tried, h)
	}
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

// hedges tells whether a try that reaches its timeout goes on while another
// is made.
func (f *filter) hedges(h *http.HeaderMap) bool {
	on := f.action.Hedge != nil && f.action.Hedge.OnPerTryTimeout
	if h.Has(http.XEnvoyHedgeOnPerTryTimeout) {
		on = h.Get(http.XEnvoyHedgeOnPerTryTimeout) == "true"
	}
	if on {
		// The tries' answers must not share the one map of the response.
		f.first.compete()
	}
	return on
}

// compete gives the try a header map of its own.
func (u *upstreamRequest) compete() {
	if u.own == nil {
		u.own = &http.HeaderMap{}
	}
}

// hedgeRetry starts another try besides one that reached its timeout.
func (f *filter) hedgeRetry(u *upstreamRequest) {
	if f.retry == nil || f.responseStarted || u.hedged {
		return
	}
	if f.retryOn(f.retry.grant(true), true) {
		u.hedged = true
	}
}

// retryNow tries again, at another host if the balancer picks one.
func (f *filter) retryNow() {
	if f.done {
		return
	}
	f.attempts++
	f.cb.StreamInfo().AttemptCount = f.attempts
	h := f.cb.RequestHeaders()
	if f.host = f.cluster.ChooseHost(f); f.host == nil {
		f.noHost()
		return
	}
	if f.route.VirtualHost().IncludeRequestAttemptCount {
		h.SetInt(http.XEnvoyAttemptCount, int64(f.attempts))
	}
	if f.route.VirtualHost().IncludeIsTimeoutRetry {
		h.Set(http.XEnvoyIsTimeoutRetry, strconv.FormatBool(f.retry != nil && f.retry.timeout))
	}
	f.cfg.expect(f.action, h, &f.timeouts, f.elapsed(), f.grpc, f.hedge)
	u := f.unusedTry()
	if f.hedge {
		u.compete()
	}
	f.attempt = u
	u.wait.Reset()
	headOnly := f.requestEnd && f.body.Len() == 0 && !f.hasTrailers
	if f.body.Len() > 0 {
		for piece := range f.body.Pieces {
			u.wait.Append(piece)
		}
	}
	u.start(headOnly)
}

// elapsed is how much of the request's time is used up.
func (f *filter) elapsed() time.Duration {
	if !f.requestEnd {
		return 0
	}
	return f.cb.Loop().Now() - f.began
}
