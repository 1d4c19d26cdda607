package async

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
)

// Retry is a retry policy compiled, immutable.
type Retry struct {
	times                                              int
	base, most                                         time.Duration // of the back-off
	server, gateway, reset, connect, conflict, refused bool
	limited                                            bool     // x-envoy-ratelimited asks for it
	grpc                                               []string // values of grpc-status
}

// response tells whether a response is tried again.
func (r *Retry) response(code int, h *http.HeaderMap) bool {
	if h.Has(http.XEnvoyRateLimited) {
		return r.limited
	}
	return r.server && code >= 500 || r.gateway && code >= 502 && code <= 504 || r.conflict && code == 409 ||
		slices.Contains(r.grpc, h.Get(http.GrpcStatus))
}

// failure tells whether a request without a response is tried again. One that
// took too long is not: its time is for all tries.
func (r *Retry) failure(f Failure) bool {
	switch f.Reason {
	case http.ResetNone, http.Overflow:
		return false
	case http.LocalConnectionFailure, http.RemoteConnectionFailure, http.ConnectionTimeout:
		return r.connect
	case http.RemoteRefusedStreamReset:
		return r.refused || r.reset
	}
	return r.reset
}

// retry schedules another try if the policy and the circuit breaker have it so.
func (r *Request) retry(wanted bool) bool {
	st := r.s.cluster.Stats()
	if r.o.Retry == nil {
		return false
	}
	breakers := r.s.cluster.Breakers(r.o.Priority)
	if r.armed {
		r.armed = false
		breakers.Dec(cluster.Retries)
		if !wanted {
			st.UpstreamRqRetrySuccess.Inc()
		}
	}
	switch {
	case !wanted:
		return false
	case r.tries >= r.o.Retry.times:
		st.UpstreamRqRetryLimitExceeded.Inc()
		return false
	case !breakers.CanCreate(cluster.Retries):
		st.UpstreamRqRetryOverflow.Inc()
		return false
	}
	breakers.Inc(cluster.Retries)
	r.armed = true
	st.UpstreamRqRetry.Inc()
	st.UpstreamRqRetryBackoffExponential.Inc()
	step := min(r.o.Retry.base<<min(r.tries, 16), r.o.Retry.most)
	r.tries++
	r.backOff.Enable(time.Duration(rand.Int64N(int64(step))))
	return true
}
