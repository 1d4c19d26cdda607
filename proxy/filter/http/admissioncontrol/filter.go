package admissioncontrol

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are at http.<stat_prefix>.admission_control.
type Stats struct {
	Rejected stats.Counter `stat:"rq_rejected"`
	Success  stats.Counter `stat:"rq_success"`
	Failure  stats.Counter `stat:"rq_failure"`
}

// factory is an AdmissionControl compiled.
type factory struct {
	enabled        fraction.Flag
	rpsThreshold   func() uint64
	aggression     func() float64
	threshold      func() float64 // percent of requests that must succeed
	maxProbability func() float64 // percent
	criteria       criteria
	group          *stats.Group[Stats]
	windows        []window // by worker
}

// criteria tell which responses are successes.
type criteria struct {
	http []statusRange
	grpc []uint32
}

type statusRange struct{ start, end int } // end is not part of it

func (c *criteria) httpSuccess(status int) bool {
	return slices.ContainsFunc(c.http, func(r statusRange) bool { return r.start <= status && status < r.end })
}

// grpcSuccess judges a grpc-status; one that is no number fails.
func (c *criteria) grpcSuccess(text string) bool {
	status, err := strconv.ParseUint(text, 10, 32)
	return err == nil && slices.Contains(c.grpc, uint32(status))
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb, loop: cb.Loop(), stats: f.group.For(w), window: &f.windows[w]}
}

// Close ends the statistics.
func (f *factory) Close() { f.group.Close() }

// filter serves one request, and then later ones: see Recycle.
type filter struct {
	http.PassRequestBody
	http.PassResponseBody
	*factory
	cb     http.FilterCallbacks
	loop   *network.Loop
	stats  *Stats
	window *window
	state
}

// state is what is zero when a stream begins.
type state struct {
	counted    bool // the request's outcome is to be counted
	inTrailers bool // and is in the response's trailers
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter. A request that had no whole response
// has failed, though Envoy's statistics don't tell.
func (f *filter) OnDestroy() {
	if f.counted {
		f.window.record(f.loop.Now(), false)
	}
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(*http.HeaderMap, bool) http.HeadersStatus {
	if f.cb.StreamInfo().HealthCheck || !f.enabled.On() {
		return http.HeadersContinue
	}
	if f.window.rps(f.loop.Now()) >= f.rpsThreshold() && f.rejects(rand.Uint64()) {
		f.stats.Rejected.Inc()
		f.cb.SendLocalReply(503, "", nil, http.NoGrpcStatus, "denied_by_admission_control")
		return http.HeadersStopIteration
	}
	f.counted = true
	return http.HeadersContinue
}

// accuracy is how finely probabilities are told apart.
const accuracy = 10_000

// rejects decides on a request by chance.
func (f *filter) rejects(random uint64) bool {
	return accuracy*f.probability() > float64(random%accuracy)
}

// probability is the chance with which requests are refused now, between 0
// and 1.
func (f *filter) probability() float64 {
	needed := min(f.threshold(), 100) / 100
	total, successes := float64(f.window.total.requests), float64(f.window.total.successes)
	p := (total - successes/needed) / (total + 1)
	if p <= 0 || math.IsNaN(p) {
		return 0
	}
	return min(math.Pow(p, 1/max(f.aggression(), 1)), f.maxProbability()/100)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	if !f.counted {
		return http.HeadersContinue
	}
	if http.IsGRPCResponse(h, end) {
		if status := h.Get(http.GrpcStatus); status != "" {
			f.record(f.criteria.grpcSuccess(status))
		} else {
			f.inTrailers = true
		}
		return http.HeadersContinue
	}
	status, _ := strconv.Atoi(h.Get(http.Status))
	f.record(f.criteria.httpSuccess(status))
	return http.HeadersContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if f.counted && f.inTrailers {
		f.record(f.criteria.grpcSuccess(t.Get(http.GrpcStatus)))
	}
	return http.TrailersContinue
}

func (f *filter) record(success bool) {
	f.counted = false
	if success {
		f.stats.Success.Inc()
	} else {
		f.stats.Failure.Inc()
	}
	f.window.record(f.loop.Now(), success)
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
)
