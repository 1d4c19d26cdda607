package extproc

import (
	"time"

	"github.com/weirproxy/weir/proxy/event"
	"github.com/weirproxy/weir/proxy/filter/http/headerrules"
	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/grpc"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/matcher"
	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/async"
)

// settings are what routes can override besides the mode.
type settings struct {
	forward, receive []string // namespaces of dynamic metadata
	forwardCluster   []string // namespaces of the cluster's metadata
	forwardTyped     []string // namespaces of typed dynamic metadata
	failureAllow     bool
	attributes       [2][]attribute
}

// factory is an ExternalProcessor compiled.
type factory struct {
	settings
	service             *grpc.Service // or else
	http                *httpService
	client              func(worker int) async.Client
	table               func(worker int) *upstream.Table
	mode                mode
	overrides           []mode // those that mode_override may choose; none: any
	allowOverride       bool
	noImmediate         bool // immediate responses are failures
	observe             bool // nothing waits for the processor
	keepRoute           bool
	clearRoute          bool
	sendEarly           bool // streamed bodies do not wait for the reply to the headers
	keepLength          bool // content-length stays although the body may change
	errorStatus         int
	timeout, maxTimeout time.Duration
	rules               *headerrules.Rules
	allowed, disallowed []matcher.String
	group               *stats.Group[Stats]
}

// New implements http.FilterFactory.
func (c *factory) New(w int, cb http.FilterCallbacks) http.StreamFilter {
	f := &filter{factory: c, cb: cb, client: c.client(w), stats: c.group.For(w)}
	for d := range f.phases {
		cb.Loop().InitTimer(&f.timers[d], func() { f.onTimeout() })
	}
	return f
}

// Close ends the filter's statistics.
func (c *factory) Close() { c.group.Close() }

// filter has one stream processed, and then later ones: see Recycle.
type filter struct {
	*factory
	cb     http.FilterCallbacks
	client async.Client
	stats  *Stats
	timers [2]event.Timer
	state
}

// state is what is zero when a stream begins.
type state struct {
	now    mode
	own    settings
	phases [2]phase
	asked  *grpc.Service
	stream *grpc.Stream
	posted *async.Request // the message that an HTTP service is asked
	told   bool           // the processor knows the modes
	begun  bool           // the route was asked
	// congested: the processor takes no more for now
	congested bool
	logging   loggingInfo
	over      bool // nothing is processed any more
	dead      bool
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() { f.state = state{} }

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	f.dead, f.over = true, true
	f.closeStream()
}

// closeStream ends the conversation with the processor.
func (f *filter) closeStream() {
	for d := range f.timers {
		f.timers[d].Disable()
	}
	for d := range f.phases {
		f.phases[d].drop()
	}
	f.congested = false
	f.throttle()
	if f.posted != nil {
		f.posted.Cancel()
		f.posted = nil
	}
	if f.stream == nil {
		return
	}
	if !f.stream.Closed() {
		f.stats.StreamsClosed.Inc()
		if f.observe {
			f.stream.CloseSend() // what was sent arrives; the reply is not awaited
		} else {
			f.stream.Reset()
		}
	}
	f.stream = nil
}

// begin takes what the route says, once.
func (f *filter) begin() {
	if f.begun {
		return
	}
	f.begun = true
	if info := f.cb.StreamInfo(); info.FilterState[f.cb.FilterName()] == nil {
		info.SetFilterState(f.cb.FilterName(), &f.logging)
	}
	f.now, f.own = f.mode, f.settings
	f.asked = f.service
	for d := range f.phases {
		p := &f.phases[d]
		p.f, p.d = f, direction(d)
	}
	route := f.cb.Route()
	if route == nil {
		return
	}
	var initial []grpc.Metadata
	for _, level := range route.FilterConfigs(f.cb.FilterName()) { // least specific first
		if r, ok := level.(*routeSettings); ok {
			f.override(r)
			initial = grpc.MergeMetadata(initial, r.initial)
		}
	}
	if len(initial) > 0 && f.asked != nil {
		f.asked = f.asked.WithMetadata(initial)
	}
}

// override takes what one level of the route says.
func (f *filter) override(r *routeSettings) {
	f.over = r.disabled
	if r.mode != nil {
		f.now = *r.mode
	}
	if r.service != nil {
		f.asked = r.service
	}
	for _, x := range [...]struct{ to, from *[]string }{
		{&f.own.forward, &r.metadata.forward}, {&f.own.forwardTyped, &r.metadata.forwardTyped}, {&f.own.receive, &r.metadata.receive}, {&f.own.forwardCluster, &r.metadata.forwardCluster},
	} {
		if *x.from != nil {
			*x.to = *x.from
		}
	}
	if r.failureAllow != nil {
		f.own.failureAllow = *r.failureAllow
	}
}

// open begins the conversation at the first message.
func (f *filter) open() {
	if f.stream != nil {
		return
	}
	f.stats.StreamsStarted.Inc()
	f.stream = f.asked.For(&formatter.Context{Info: f.cb.StreamInfo()}).Open(f.client, processMethod, 0, f.cb.Connection(), f)
	f.stream.OnWritable(f.onWritable)
	f.logging.stream, f.logging.cluster = f.stream, f.asked.Cluster
}

// send sends a message; its reply is awaited unless only watched.
func (f *filter) send(d direction, k kind, data []byte, end bool) {
	f.stats.StreamMsgsSent.Inc()
	if f.http != nil {
		f.post(f.message(d, k, data, end))
	} else {
		f.open()
		f.stream.Send(encode(f.message(d, k, data, end)), false)
	}
	f.phases[d].asked = f.cb.Loop().Now()
	if !f.observe && f.now[d].body != duplex {
		f.timers[d].Enable(f.timeout)
	}
}

func (f *filter) headersOf(d direction) *http.HeaderMap {
	if d == request {
		return f.cb.RequestHeaders()
	}
	return f.cb.ResponseHeaders()
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	f.begin()
	return f.phases[request].onHeaders(end)
}

// DecodeData implements http.DecoderFilter.
func (f *filter) DecodeData(b *network.Buffer, end bool) http.DataStatus {
	return f.phases[request].onData(b, end)
}

// DecodeTrailers implements http.DecoderFilter.
func (f *filter) DecodeTrailers(*http.HeaderMap) http.TrailersStatus {
	return f.phases[request].onTrailers()
}

// EncodeHeaders implements http.EncoderFilter.
func (f *filter) EncodeHeaders(_ *http.HeaderMap, end bool) http.HeadersStatus {
	f.begin() // a filter before may have answered
	return f.phases[response].onHeaders(end)
}

// EncodeData implements http.EncoderFilter.
func (f *filter) EncodeData(b *network.Buffer, end bool) http.DataStatus {
	return f.phases[response].onData(b, end)
}

// EncodeTrailers implements http.EncoderFilter.
func (f *filter) EncodeTrailers(*http.HeaderMap) http.TrailersStatus {
	return f.phases[response].onTrailers()
}

func matches(list []matcher.String, s string) bool {
	for i := range list {
		if list[i].Match(s) {
			return true
		}
	}
	return false
}

var (
	_ http.DecoderFilter = (*filter)(nil)
	_ http.EncoderFilter = (*filter)(nil)
	_ http.Recycler      = (*filter)(nil)
	_ grpc.Callbacks     = (*filter)(nil)
)
