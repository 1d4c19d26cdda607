package adaptiveconcurrency

import (
	"time"

	"github.com/weirproxy/weir/proxy/fraction"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
)

// Stats are a controller's. Latencies are in milliseconds, the gradient is
// times 1000. Workers only count what they block.
type Stats struct {
	Blocked          stats.Counter `stat:"rq_blocked"`
	BurstQueueSize   stats.Gauge   `stat:"burst_queue_size"`
	ConcurrencyLimit stats.Gauge   `stat:"concurrency_limit"`
	Gradient         stats.Gauge   `stat:"gradient"`
	Measuring        stats.Gauge   `stat:"min_rtt_calculation_active"`
	MinRTT           stats.Gauge   `stat:"min_rtt_msecs"`
	SampleRTT        stats.Gauge   `stat:"sample_rtt_msecs"`
}

// factory is an AdaptiveConcurrency compiled.
type factory struct {
	enabled    fraction.Flag
	status     int // of refusals
	controller *controller
	group      *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: f, cb: cb, stats: f.group.For(w)}
}

// Close ends the controller and its statistics.
func (f *factory) Close() {
	f.controller.close()
	f.group.Close()
}

// filter serves one request, and then later ones: see Recycle.
type filter struct {
	http.PassRequestBody
	*factory
	cb    http.FilterCallbacks
	stats *Stats
	began time.Time // zero unless the request has a place
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(*http.HeaderMap, bool) http.HeadersStatus {
	if !f.enabled.On() || f.cb.StreamInfo().HealthCheck {
		return http.HeadersContinue
	}
	if !f.controller.admit() {
		f.stats.Blocked.Inc()
		f.cb.SendLocalReply(f.status, "reached concurrency limit", nil, http.NoGrpcStatus, "reached_concurrency_limit")
		return http.HeadersStopIteration
	}
	f.began = f.cb.Loop().Time()
	return http.HeadersContinue
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	f.answered(end)
	return http.HeadersContinue
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(_ *network.Buffer, end bool) http.DataStatus {
	f.answered(end)
	return http.DataContinue
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	f.answered(true)
	return http.TrailersContinue
}

func (f *filter) answered(whole bool) {
	if whole && !f.began.IsZero() {
		f.controller.sample(f.began, f.cb.Loop().Time())
		f.began = time.Time{}
	}
}

// OnDestroy implements http.StreamFilter: a request that was cut off is no
// sample.
func (f *filter) OnDestroy() {
	if !f.began.IsZero() {
		f.controller.leave()
		f.began = time.Time{}
	}
}

// Recycle implements http.Recycler.
func (*filter) Recycle() {}
