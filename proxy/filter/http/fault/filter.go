package fault

import (
	"maps"
	"sync/atomic"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/throttle"
)

type factory struct {
	settings *settings
	store    *stats.Store
	prefix   string
	group    *stats.Group[Stats]
	active   atomic.Int64 // faults of all workers
	clusters []clusterTable
	loops    []*network.Loop
}

// New implements http.FilterFactory.
func (f *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	x := &filter{f: f, cb: cb, stats: f.group.For(w)}
	cb.Loop().InitTimer(&x.timer, x.onDelayed)
	return x
}

type filter struct {
	http.PassRequestBody
	f     *factory
	cb    http.FilterCallbacks
	stats *Stats
	timer event.Timer // the delay
	state
}

// state is what is zero when a stream begins.
type state struct {
	settings *settings
	request  request
	active   bool // counted in active faults
	slow     *throttle.Body
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	var ok bool
	if f.settings, ok = http.RouteConfig[*settings](f.cb); !ok {
		f.settings = f.f.settings
	}
	f.request = request{h: h}
	if !f.settings.wants(f.request, f.clusterOf(h)) {
		return http.HeadersContinue
	}
	f.request.downstream = h.Get(http.XEnvoyDownstreamServiceCluster)
	f.slowResponse()
	if d := f.settings.delayOf(f.request); d > 0 && f.activate() {
		f.timer.Enable(d)
		f.stats.DelaysInjected.Inc()
		if c := f.clusterStats(); c != nil {
			c.DelaysInjected.Inc()
		}
		f.cb.StreamInfo().SetFlag(streaminfo.DelayInjected)
		f.note()
		return http.HeadersStopAllAndWatermark
	}
	if f.abort() {
		return http.HeadersStopIteration
	}
	return http.HeadersContinue
}

// clusterOf is where the request goes, "" for nowhere.
func (f *filter) clusterOf(h *http.HeaderMap) string {
	if f.settings.cluster == "" {
		return ""
	}
	if r, ok := f.cb.Route().(*route.Route); ok && r.Forward() != nil {
		return r.Cluster(h)
	}
	return ""
}

// activate counts the stream among those with faults, unless there are too
// many.
func (f *filter) activate() bool {
	if f.active {
		return true
	}
	limit := f.settings.maxActive
	if limit == unlimited {
		limit = f.settings.runtime.Get(f.settings.keys.active, unlimited)
	}
	if n := f.f.active.Add(1); uint64(n) > limit {
		f.f.active.Add(-1)
		f.stats.FaultsOverflow.Inc()
		return false
	}
	f.active = true
	f.stats.ActiveFaults.Inc()
	return true
}

// onDelayed goes on with a request whose delay is over.
func (f *filter) onDelayed() {
	if !f.abort() {
		f.cb.ContinueDecoding()
	}
}

// abort answers the request, if it is to fail.
func (f *filter) abort() bool {
	code, grpc, ok := f.settings.abortOf(f.request)
	if !ok || !f.activate() {
		return false
	}
	f.stats.AbortsInjected.Inc()
	if c := f.clusterStats(); c != nil {
		c.AbortsInjected.Inc()
	}
	f.cb.StreamInfo().SetFlag(streaminfo.FaultInjected)
	f.note()
	f.cb.SendLocalReply(code, f.settings.abort.body, nil, grpc, "fault_filter_abort")
	return true
}

// note leaves the configured metadata, for logs.
func (f *filter) note() {
	maps.Copy(f.cb.StreamInfo().MetadataOf(f.cb.FilterName()), f.settings.metadata)
}

func (f *filter) slowResponse() {
	kbps := f.settings.rateOf(f.request)
	if kbps == 0 || !f.activate() {
		return
	}
	f.stats.ResponseRlInjected.Inc()
	f.slow = throttle.New(f.cb.Loop(), throttle.PerSecond(f.cb.Loop(), kbps<<10), f.cb.BufferLimit(), f)
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(*http.HeaderMap, bool) http.HeadersStatus { return http.HeadersContinue }

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	if f.slow == nil {
		return http.DataContinue
	}
	f.slow.Write(b, end)
	return http.DataStopNoBuffer
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	if f.slow == nil || f.slow.Trailers() {
		return http.TrailersContinue
	}
	return http.TrailersStopIteration
}

// Pass implements throttle.Out.
func (f *filter) Pass(b *network.Buffer, end bool) { f.cb.InjectEncodedData(b, end) }

// PassTrailers implements throttle.Out.
func (f *filter) PassTrailers() { f.cb.ContinueEncoding() }

// Hold implements throttle.Out.
func (f *filter) Hold() { f.cb.OnEncoderAboveHighWatermark() }

// Release implements throttle.Out.
func (f *filter) Release() { f.cb.OnEncoderBelowLowWatermark() }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	f.timer.Disable()
	if f.slow != nil {
		f.slow.Stop()
	}
	if f.active {
		f.active = false
		f.f.active.Add(-1)
		f.stats.ActiveFaults.Dec()
	}
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }
