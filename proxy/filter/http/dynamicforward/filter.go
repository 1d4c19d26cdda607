package dynamicforward

import (
	"strings"

	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/upstream"
	"github.com/weirproxy/weir/proxy/upstream/dnscache"
)

type factory struct {
	cache  *dnscache.Cache
	tables func(worker int) *upstream.Table
}

// New implements http.FilterFactory.
func (c *factory) New(_ int, cb http.FilterCallbacks) http.StreamFilter {
	return &filter{factory: c, cb: cb}
}

// rewrite is a route's configuration: another name to ask for.
type rewrite struct{ literal, header string }

// filter holds one request back at a time.
type filter struct {
	http.PassRequestBody
	*factory
	cb   http.FilterCallbacks
	wait *dnscache.Wait // nil when nothing is waited for
}

// DecodeHeaders implements http.DecoderFilter.
func (f *filter) DecodeHeaders(h *http.HeaderMap, _ bool) http.HeadersStatus {
	r, _ := f.cb.Route().(*route.Route)
	if r == nil || r.Forward() == nil {
		return http.HeadersContinue
	}
	c := f.tables(f.cb.Worker()).Get(r.Cluster(h))
	if c == nil || !c.Info().DynamicForward {
		return http.HeadersContinue
	}
	if rw, _ := r.FilterConfig(f.cb.FilterName()).(*rewrite); rw != nil {
		rw.apply(h)
	}
	host, port, ok := dnscache.Split(h.Get(http.Authority), c.Info().ForwardPort())
	if !ok {
		f.failed("malformed host")
		return http.HeadersStopIteration
	}
	e, wait, status := f.cache.Load(host, port, f.cb.Loop(), f.answered)
	switch status {
	case dnscache.Ready:
		if e.Addresses() != nil {
			return http.HeadersContinue
		}
		f.failed(e.Failure())
	case dnscache.Loading:
		f.wait = wait
		return http.HeadersStopAllAndWatermark
	case dnscache.Overflow:
		f.refuse("DNS cache overflow", "dns_cache_overflow")
	case dnscache.Pending:
		f.refuse("Dynamic forward proxy pending request overflow", "dynamic_forward_proxy_pending_request_overflow")
	}
	return http.HeadersStopIteration
}

func (rw *rewrite) apply(h *http.HeaderMap) {
	name := rw.literal
	if rw.header != "" {
		name, _ = h.GetName(rw.header)
	}
	if name != "" {
		h.Set(http.Authority, name)
	}
}

func (f *filter) answered(e *dnscache.Entry) {
	f.wait = nil
	if e.Addresses() != nil {
		f.cb.ContinueDecoding()
	} else {
		f.failed(e.Failure())
	}
}

func (f *filter) failed(why string) {
	f.cb.StreamInfo().SetFlag(streaminfo.DnsResolutionFailed)
	f.refuse("DNS resolution failure", "dns_resolution_failure{"+strings.ReplaceAll(why, " ", "_")+"}")
}

func (f *filter) refuse(body, details string) {
	f.cb.SendLocalReply(503, body, nil, http.NoGrpcStatus, details)
}

// OnDestroy implements http.StreamFilter.
func (f *filter) OnDestroy() {
	if f.wait != nil {
		f.wait.Cancel()
		f.wait = nil
	}
}

// Recycle implements http.Recycler.
func (f *filter) Recycle() {}

var _ http.DecoderFilter = (*filter)(nil)
