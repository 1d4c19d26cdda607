package tracing

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/http"
)

// format is how a tracer's contexts look in headers.
type format interface {
	// extract reads a request's context; found is false when it has none, and
	// ok is false when it has one that can't be read.
	extract(h *http.HeaderMap) (c Context, found, ok bool)
	inject(h *http.HeaderMap, s *Span)
	// long tells that trace ids are 128 bits even when the high half is 0.
	long() bool
}

// exporter takes finished spans, on their workers.
type exporter interface {
	add(*Span)
	close()
}

// sampler overrides the connection manager's decision.
type sampler interface {
	// sample decides on a span; parent is nil for the first of a trace.
	sample(parent *Context, traceHigh uint64) bool
}

// Tracer is a tracing provider.
type Tracer struct {
	format   format
	exporter exporter
	sampler  sampler // nil: the connection manager decides
	begin    func(t *Tracer, parent *Context, traced bool) Context
	byHost   bool // spans are named by the request's host
	byPath   bool // or by its path, whatever else names are for
	refs     int
	key      string
}

// newID is a random id, never 0.
func newID() uint64 {
	for {
		if n := rand.Uint64(); n != 0 {
			return n
		}
	}
}

// start begins the span of a request. It is nil when the request's headers
// have a context that can't be read.
func (t *Tracer) start(worker int, h *http.HeaderMap, name string, kind Kind, traced bool, now time.Time) *Span {
	var parent *Context
	c, found, ok := t.format.extract(h)
	switch {
	case !ok:
		return nil
	case found:
		parent = &c
	}
	if t.byPath {
		name = strings.Clone(h.Get(http.Path))
	}
	return &Span{Context: t.begin(t, parent, traced), tracer: t, route: noRoute, worker: worker, Name: name, Kind: kind, Start: now, remote: parent != nil}
}
