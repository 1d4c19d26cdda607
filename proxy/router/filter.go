package router

import (
	"math"
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/cluster"
	"github.com/weirproxy/weir/proxy/upstream/lb"
)

// filter is the router of one stream, and of later ones: see Recycle.
type filter struct {
	lb.NoContext
	cb    http.RouterCallbacks
	cfg   *Config
	stats *Stats
	table *upstream.Table

	// tries are in use again and again. Most requests only ever need the
	// first; hedging has several under way.
	tries []*upstreamRequest
	first upstreamRequest
	// response ends the whole request, retries included.
	response event.Timer
	backoff  event.Timer // before a retry

	own     route.Forward // the route's action, where the cluster changes it
	context formatter.Context
	body    network.Buffer // the request's body, kept for retries and redirects
	requestState
}

// requestState is what is zero when a stream begins.
type requestState struct {
	route    *route.Route
	action   *route.Forward
	cluster  *upstream.Cluster
	host     *cluster.Host
	attempt  *upstreamRequest // the latest try
	timeouts timeouts
	retry    *retryState
	retries  retryState // what retry points to when the route retries
	counted  [2]*route.RequestStats
	altName  string // what the request counts by, too; "": nothing
	subset   []lb.MetadataCriterion
	tunnel   *route.Upgrade // CONNECT is terminated here; nil otherwise
	mirrors  []*mirror

	cookies         []string // set-cookie lines that hash policies made
	attempts        int
	began           time.Duration // when the request was received whole
	requestEnd      bool          // the request is received whole
	headOnly        bool          // its head is all of it
	hasTrailers     bool
	keepBody        bool // the body may be needed for another try
	bodyLost        bool // and was too large for it
	responseStarted bool
	requestPaused   bool
	grpc            bool
	hedge           bool // a slow try is not given up when another starts
	done            bool
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.stats.RqTotal.Inc()
	f.grpc, f.headOnly = http.IsGRPC(h), end
	f.attempt = &f.first
	if !f.chooseCluster(h) {
		return http.HeadersStopIteration
	}
	if f.cfg.sheds != nil && f.cfg.sheds() {
		f.stats.RqOverloadLocalReply.Inc()
		f.cleanup()
		f.reply(503, "envoy overloaded", false, "overload")
		return http.HeadersStopIteration
	}
	if f.maintained() {
		return http.HeadersStopIteration
	}
	if len(f.cfg.strict) > 0 && !f.strictlyValid(h) {
		return http.HeadersStopIteration
	}
	r, info := f.route, f.cb.StreamInfo()
	f.hedge = f.hedges(h)
	f.timeouts = f.cfg.timeouts(f.action, h, f.grpc, f.hedge)
	f.retry = nil
	if f.retries.init(f, h) {
		f.retry = &f.retries
	}
	f.keepBody = f.retry != nil || f.action.InternalRedirect != nil
	f.tunnel = f.action.Terminates(h)
	if f.dropped() {
		return http.HeadersStopIteration
	}
	// Hash policies look at the head that goes upstream.
	r.FinalizeRequestHeaders(h, f.formatContext(nil), !f.cfg.suppressEnvoyHeaders)
	f.attempts = 1
	info.AttemptCount = 1
	if r.VirtualHost().IncludeRequestAttemptCount {
		h.SetInt(http.XEnvoyAttemptCount, 1)
	}
	f.host = f.cluster.ChooseHost(f)
	if f.host == nil {
		f.noHost()
		return http.HeadersStopIteration
	}
	f.setScheme(h)
	f.startMirrors(h, end)
	if end {
		f.requestComplete()
	}
	f.attempt.start(end)
	return http.HeadersStopIteration
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.done {
		b.Reset()
		return http.DataStopNoBuffer
	}
	if f.cfg.rejectEarlyData && b.Len() > 0 && !f.responseStarted && f.cb.UpgradeType() == "connect" {
		b.Reset()
		f.cleanup()
		f.reply(400, "", false, "early_connect_data")
		return http.DataStopNoBuffer
	}
	if f.keepBody && uint64(f.body.Len()+b.Len()) > f.retryBufferLimit() {
		// Too much to keep: the request is sent once only.
		f.cluster.Stats().RetryOrShadowAbandoned.Inc()
		if f.backoff.Enabled() {
			b.Reset()
			f.tooLargeToRetry()
			return http.DataStopNoBuffer
		}
		f.retry, f.keepBody, f.bodyLost = nil, false, true
		f.body.Reset()
	}
	if end {
		f.requestComplete()
	}
	if f.keepBody {
		for piece := range b.Pieces {
			f.body.Append(piece)
		}
	}
	for _, m := range f.mirrors {
		m.sendData(b, end)
	}
	f.attempt.sendData(b, end)
	return http.DataStopNoBuffer
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(t *http.HeaderMap) http.TrailersStatus {
	if f.done {
		return http.TrailersStopIteration
	}
	f.hasTrailers = true
	f.requestComplete()
	for _, m := range f.mirrors {
		m.sendTrailers(t)
	}
	f.attempt.sendTrailers(t)
	return http.TrailersStopIteration
}

// tooLargeToRetry answers when the body outgrows its bound while no try is
// under way that could take it.
func (f *filter) tooLargeToRetry() {
	f.cleanup()
	f.reply(507, "exceeded request buffer limit while retrying upstream", false, "request_payload_exceeded_retry_buffer_limit")
}

func (f *filter) retryBufferLimit() uint64 {
	if n, ok := f.route.BufferLimit(); ok {
		return n
	}
	if n := f.cb.BufferLimit(); n > 0 {
		return uint64(n)
	}
	return math.MaxUint64
}

// requestComplete starts the clock that the response has to beat.
func (f *filter) requestComplete() {
	f.requestEnd = true
	f.began = f.cb.Loop().Now()
	if f.timeouts.global > 0 && !f.responseStarted {
		f.response.Enable(f.timeouts.global)
	}
	f.attempt.requestComplete()
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() { f.cleanup() }

// cleanup ends whatever is under way upstream, but for mirrored requests that
// are sent whole.
func (f *filter) cleanup() {
	f.done = true
	f.response.Disable()
	for _, u := range f.tries {
		u.cancel()
	}
	if f.retry != nil {
		f.retry.cancel()
		f.retry = nil
	}
	for _, m := range f.mirrors {
		m.detach()
	}
	f.mirrors = nil
}

// Drop implements http.Dropper.
func (f *filter) Drop() {
	f.response.Release()
	f.backoff.Release()
	for _, u := range f.tries {
		u.perTry.Release()
		u.idle.Release()
		u.life.Release()
	}
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() {
	f.body.Reset()
	for _, u := range f.tries {
		u.reset()
	}
	f.requestState = requestState{}
}

// others tells whether tries besides u are under way or about to be.
func (f *filter) others(u *upstreamRequest) bool {
	for _, o := range f.tries {
		if o != u && o.active && !o.started {
			return true
		}
	}
	return f.retry != nil && f.backoff.Enabled()
}

// unusedTry is a try that is not under way.
func (f *filter) unusedTry() *upstreamRequest {
	for _, u := range f.tries {
		if !u.active {
			return u
		}
	}
	u := &upstreamRequest{}
	u.init(f)
	f.tries = append(f.tries, u)
	return u
}

// abort answers for an upstream that failed.
func (f *filter) abort(code int, flag streaminfo.Flags, body string, overloaded bool, details string) {
	f.cb.StreamInfo().SetFlag(flag)
	f.cleanup()
	f.reply(code, body, overloaded, details)
}

// reply sends an answer of the router's own.
func (f *filter) reply(code int, body string, overloaded bool, details string) {
	f.done = true
	f.cb.SendLocalReply(code, body, func(h *http.HeaderMap) {
		if overloaded && !f.cfg.suppressEnvoyHeaders {
			h.Set(http.XEnvoyOverloaded, "true")
		}
		if f.route != nil && f.attempts > 0 && f.route.VirtualHost().IncludeAttemptCountInResponse {
			h.SetInt(http.XEnvoyAttemptCount, int64(f.attempts))
		}
	}, http.NoGrpcStatus, details)
}

// onResponseTimeout is the end of the time for the whole request.
func (f *filter) onResponseTimeout() {
	if f.done {
		return
	}
	for _, u := range f.tries {
		if u.active {
			f.cluster.Stats().UpstreamRqTimeout.Inc()
			u.outOfTime = true
			f.eachCounted(func(c *route.RequestStats) { c.Timeout.Inc() })
		}
	}
	f.timedOut("response_timeout")
}

// timedOut answers 504, or cuts off the response under way.
func (f *filter) timedOut(details string) {
	for _, u := range f.tries {
		if u.active && u.host != nil {
			u.host.Stats(f.cb.Worker()).RqTimeout++
			u.countBroken()
			if !u.started {
				u.host.Monitor().TimedOut(f.cb.Worker(), f.timeouts.code)
			}
		}
	}
	f.chargeBudget()
	f.cb.StreamInfo().SetFlag(streaminfo.UpstreamRequestTimeout)
	f.chargeTimeout()
	f.cleanup()
	body := "upstream request timeout"
	if f.timeouts.code == 204 {
		body = ""
	}
	f.reply(f.timeouts.code, body, false, details)
}

var (
	_ http.DecoderFilter        = (*filter)(nil)
	_ http.StreamFilter         = (*filter)(nil)
	_ http.Recycler             = (*filter)(nil)
	_ http.DownstreamWatermarks = (*filter)(nil)
	_ lb.Context                = (*filter)(nil)
)
