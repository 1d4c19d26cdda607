package router

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/streaminfo"
	"github.com/weirproxy/weir/proxy/tracing"
)

// traced is a stream that may be traced.
type traced interface {
	Trace() (*tracing.Config, *tracing.Span)
}

// startSpan begins the try's span, where tries have spans.
func (u *upstreamRequest) startSpan() {
	t, ok := u.f.cb.(traced)
	if !ok {
		return
	}
	c, parent := t.Trace()
	if parent == nil {
		return
	}
	u.tracing, u.span = c, c.StartUpstream(parent, u.f.formatContext(nil), u.f.cfg.childSpans, u.f.cluster.Info().StatName, u.f.attempts, u.f.cb.Loop().Time())
	if u.context = u.span; u.span == nil {
		u.context = parent
	}
}

// injectSpan writes the context that the upstream continues into the headers.
func (u *upstreamRequest) injectSpan(h *http.HeaderMap) {
	if u.context != nil {
		u.span.SetPeer(u.host.Current())
		u.tracing.Inject(u.context, h)
	}
}

// endSpan ends the try's span; failure is why it was reset, "" if it was not.
func (u *upstreamRequest) endSpan(failure string, flags streaminfo.Flags) {
	if u.span == nil {
		return
	}
	if failure != "" {
		u.span.SetTag("error", "true")
		u.span.SetTag("error.reason", failure)
	}
	u.tagSpan(flags)
}

// cancelSpan ends the span of a try that weir gave up.
func (u *upstreamRequest) cancelSpan() {
	if u.span == nil {
		return
	}
	u.span.SetTag("canceled", "true")
	u.tagSpan(0)
}

func (u *upstreamRequest) tagSpan(flags streaminfo.Flags) {
	f, span := u.f, u.span
	u.span = nil
	r := tracing.Result{Cluster: f.cluster.Info().Name, ClusterStatName: f.cluster.Info().StatName, Code: u.code, Flags: flags.String()}
	u.tracing.FinishUpstream(span, f.formatContext(nil), u.host.Current(), u.protocol, r, u.head, u.respTrailers, f.cb.Loop().Time())
}
