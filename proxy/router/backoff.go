package router

import (
	"strconv"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

func (r *retryState) base() time.Duration {
	if r.policy != nil && r.policy.BaseInterval > 0 {
		return r.policy.BaseInterval
	}
	return time.Duration(r.f.cfg.runtime.Uint("upstream.base_retry_backoff_ms", 25)) * time.Millisecond
}

func (r *retryState) max() time.Duration {
	if r.policy != nil && r.policy.MaxInterval > 0 {
		return r.policy.MaxInterval
	}
	return 10 * r.base()
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
	f.setScheme(h)
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
	if f.body.Len() > 0 {
		for piece := range f.body.Pieces {
			u.wait.Append(piece)
		}
	}
	u.start(f.headOnly)
}

// elapsed is how much of the request's time is used up.
func (f *filter) elapsed() time.Duration {
	if !f.requestEnd {
		return 0
	}
	return f.cb.Loop().Now() - f.began
}
