package manager

import (
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/route"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/tracing"
)

// traced is what a route says of its requests' spans.
type traced interface {
	Decorator() *route.Decorator
	Tracing() *route.Tracing
}

// trace decides whether the request is traced, and begins its span.
func (s *stream) trace() {
	c := s.cfg.tracing
	if c == nil {
		return
	}
	r, _ := s.findRoute().(traced)
	reason := c.Decide(&s.request, samplingOf(r))
	s.info.ForceTrace = reason == tracing.ServiceForced
	s.span = c.Start(s.w.index, s.formatContext(), reason, spansOf(r))
	if s.span != nil {
		s.info.TraceID = s.request.Own(string(s.span.AppendTraceID(s.scratch[:0])))
		s.info.SpanID = s.request.Own(string(s.span.AppendID(s.scratch[:0])))
	}
	s.decorate(r) // without a span, too: others may have one
}

// spansOf is what the route says of spans beyond, nil when it says nothing.
func spansOf(r traced) *tracing.RouteSpans {
	if r == nil || r.Tracing() == nil {
		return nil
	}
	return r.Tracing().Spans
}

// samplingOf is the route's own sampling, nil when it has none.
func samplingOf(r traced) *tracing.RouteSampling {
	if r == nil || r.Tracing() == nil {
		return nil
	}
	percent := func(f *route.Fraction) runtime.Percent {
		if f == nil {
			return runtime.Percent{Numerator: 100, Denominator: 100}
		}
		return runtime.Percent{Numerator: f.Numerator, Denominator: f.Denominator}
	}
	t := r.Tracing()
	return &tracing.RouteSampling{Client: percent(t.Client), Random: percent(t.Random), Overall: percent(t.Overall)}
}

// decorate names the span by the route's decorator, or by what the proxy
// before us says in x-envoy-decorator-operation; a proxy at the way out tells
// the next one.
func (s *stream) decorate(r traced) {
	h := &s.request
	if r != nil {
		if d := r.Decorator(); d != nil && d.Operation != "" {
			s.span.SetOperation(d.Operation)
			if d.Propagate {
				s.decorated = d.Operation
			}
		}
	}
	if s.cfg.tracing.Egress() {
		if s.decorated != "" {
			h.Set(http.XEnvoyDecoratorOperation, s.decorated)
		}
		return
	}
	if h.Has(http.XEnvoyDecoratorOperation) {
		if op := h.Get(http.XEnvoyDecoratorOperation); op != "" {
			s.span.SetOperation(op)
			s.decorated = ""
		}
		h.Remove(http.XEnvoyDecoratorOperation)
	}
}

// traceResponse passes the operation's name on to the proxy before us, or
// takes it from the one behind.
func (s *stream) traceResponse(h *http.HeaderMap) {
	if s.cfg.tracing == nil {
		return
	}
	if !s.cfg.tracing.Egress() {
		if s.decorated != "" {
			h.Set(http.XEnvoyDecoratorOperation, s.decorated)
		}
		return
	}
	if h.Has(http.XEnvoyDecoratorOperation) {
		if op := h.Get(http.XEnvoyDecoratorOperation); op != "" {
			s.span.SetOperation(op)
		}
		h.Remove(http.XEnvoyDecoratorOperation)
	}
}

// finishTrace ends the request's span.
func (s *stream) finishTrace() {
	if s.span == nil {
		return
	}
	s.cfg.tracing.FinishDownstream(s.span, s.formatContext())
	s.span = nil
}

// Trace implements filterchain.Stream.
func (s *stream) Trace() (*tracing.Config, *tracing.Span) { return s.cfg.tracing, s.span }
