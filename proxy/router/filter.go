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

	attempt upstreamRequest
	// response ends the whole request, retries included.
	response event.Timer

	context formatter.Context
	body    network.Buffer // the request's body, kept for retries
	requestState
}

// requestState is what is zero when a stream begins.
type requestState struct {
	route    *route.Route
	action   *route.Forward
	cluster  *upstream.Cluster
	host     *cluster.Host
	timeouts timeouts
	retry    *retryState
	retries  retryState // what retry points to when the route retries

	cookies         []string // set-cookie lines that hash policies made
	attempts        int
	began           time.Duration // when the request was received whole
	requestEnd      bool          // the request is received whole
	hasTrailers     bool
	keepBody        bool // the body may be needed for another try
	responseStarted bool
	requestPaused   bool
	grpc            bool
	done            bool
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, end bool) http.HeadersStatus {
	f.stats.RqTotal.Inc()
	f.grpc = isGrpc(h)
	if !f.chooseCluster(h) {
		return http.HeadersStopIteration
	}
	r, info := f.route, f.cb.StreamInfo()
	f.timeouts = f.cfg.timeouts(f.action, h, f.grpc)
	f.retry = nil
	if f.retries.init(f, h) {
		f.retry = &f.retries
		f.keepBody = true
	}
	f.host = f.cluster.ChooseHost(f)
	if f.host == nil {
		f.noHost()
		return http.HeadersStopIteration
	}
	f.attempts = 1
	info.AttemptCount = 1
	r.FinalizeRequestHeaders(h, f.formatContext(nil), !f.cfg.suppressEnvoyHeaders)
	if r.VirtualHost().IncludeRequestAttemptCount {
		h.SetInt(http.XEnvoyAttemptCount, 1)
	}
	if h.Get(http.Scheme) == "" {
		h.Set(http.Scheme, "http")
	}
	f.autoHostRewrite(h)
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
	if f.keepBody && uint64(f.body.Len()+b.Len()) > f.retryBufferLimit() {
		// Too much to keep: the request is sent once only.
		f.cluster.Stats().RetryOrShadowAbandoned.Inc()
		f.retry, f.keepBody = nil, false
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
	f.attempt.sendTrailers(t)
	return http.TrailersStopIteration
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

// cleanup ends whatever is under way upstream.
func (f *filter) cleanup() {
	f.done = true
	f.response.Disable()
	f.attempt.cancel()
	if f.retry != nil {
		f.retry.cancel()
		f.retry = nil
	}
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() {
	f.body.Reset()
	f.attempt.reset()
	f.retries.backoff.Release()
	f.requestState = requestState{}
}

// HashKey implements lb.Context.
func (f *filter) HashKey() (uint64, bool) {
	if f.action.Hash == nil {
		return 0, false
	}
	return f.action.Hash.Key(f.cb.RequestHeaders(), f.cb.StreamInfo(), f)
}

// DownstreamConnection implements lb.Context.
func (f *filter) DownstreamConnection() *network.Connection { return f.cb.Connection() }

// RequestHeaders implements lb.Context.
func (f *filter) RequestHeaders() *http.HeaderMap { return f.cb.RequestHeaders() }

// OnDownstreamAboveHighWatermark implements http.DownstreamWatermarks: the
// client is slow, so the upstream has to wait.
func (f *filter) OnDownstreamAboveHighWatermark() { f.attempt.pauseResponse(true) }

// OnDownstreamBelowLowWatermark implements http.DownstreamWatermarks.
func (f *filter) OnDownstreamBelowLowWatermark() { f.attempt.pauseResponse(false) }

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
	f.cluster.Stats().UpstreamRqTimeout.Inc()
	f.timedOut("response_timeout")
}

// timedOut answers 504, or cuts off the response under way.
func (f *filter) timedOut(details string) {
	if f.host != nil {
		f.host.Stats(f.cb.Worker()).RqTimeout++
	}
	f.cb.StreamInfo().SetFlag(streaminfo.UpstreamRequestTimeout)
	f.chargeAbort(f.timeouts.code, false)
	f.cleanup()
	if f.responseStarted {
		f.stats.RqResetAfterDownstreamResponseStarted.Inc()
	}
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
