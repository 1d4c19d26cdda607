package tracing

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/weirproxy/weir/proxy/formatter"
	"github.com/weirproxy/weir/proxy/http"
	"github.com/weirproxy/weir/proxy/runtime"
	"github.com/weirproxy/weir/proxy/stats"
)

// Config is a connection manager's tracing, compiled. It is immutable.
type Config struct {
	tracer *Tracer // nil: requests are marked, but no span is made

	client, random, overall runtime.Fraction
	tags                    CustomTags
	verbose, spawn, egress  bool
	noPropagation           bool
	maxPath                 int
	operation, upstream     *formatter.Formatter // names of spans; nil: Envoy's

	byRequestID bool // the request id decides
	packReason  bool // and tells
	nodeID      string
	zone        string
	group       *stats.Group[Stats]
	close       func()
}

// Stats are the manager's under http.<stat_prefix>.tracing.
type Stats struct {
	RandomSampling stats.Counter `stat:"random_sampling"`
	ServiceForced  stats.Counter `stat:"service_forced"`
	ClientEnabled  stats.Counter `stat:"client_enabled"`
	NotTraceable   stats.Counter `stat:"not_traceable"`
	HealthCheck    stats.Counter `stat:"health_check"`
}

// NewStats makes the statistics of a manager with this stat_prefix.
func NewStats(s *stats.Store, prefix string) *stats.Group[Stats] {
	return stats.NewGroup[Stats](s, stats.Scope{Prefix: "http." + prefix + ".tracing."})
}

// RouteSampling is a route's own sampling; a zero denominator is none of it.
type RouteSampling struct{ Client, Random, Overall runtime.Percent }

func (f RouteSampling) or(own runtime.Percent, otherwise runtime.Fraction) runtime.Percent {
	if own.Denominator == 0 {
		return otherwise.Now()
	}
	return otherwise.Otherwise(own).Now()
}

// Decide says why a request is traced, and writes it into x-request-id.
func (c *Config) Decide(h *http.HeaderMap, route *RouteSampling) Reason {
	if !c.byRequestID {
		return Sampling
	}
	id := h.Get(http.XRequestID)
	number, ok := randomOf(id)
	if !ok {
		return NotTraceable
	}
	number %= 10_000
	own := RouteSampling{}
	if route != nil {
		own = *route
	}
	reason := reasonOf(id)
	if reason == NotTraceable {
		switch {
		case h.Has(http.XClientTraceID) && own.or(own.Client, c.client).Holds(rand.Uint64()):
			reason = ClientForced
		case h.Has(http.XEnvoyForceTrace):
			reason = ServiceForced
		case own.or(own.Random, c.random).Holds(number):
			reason = Sampling
		}
		c.mark(h, reason)
	}
	if reason != NotTraceable && !own.or(own.Overall, c.overall).Holds(number) {
		reason = NotTraceable
		c.mark(h, reason)
	}
	return reason
}

func (c *Config) mark(h *http.HeaderMap, r Reason) {
	if c.packReason {
		setReason(h, r)
	}
}

// Start begins the span of a request that was decided on; it may be nil. route
// may be nil.
func (c *Config) Start(worker int, ctx *formatter.Context, reason Reason, route *RouteSpans) *Span {
	c.count(worker, reason)
	if c.tracer == nil {
		return nil
	}
	h := ctx.RequestHeaders
	name, kind := "ingress", Server
	if c.egress {
		name = "egress " + h.Get(http.Authority)
		if !c.spawn {
			kind = Client
		}
	}
	if c.tracer.byHost {
		name = strings.Clone(h.Get(http.Authority))
	}
	if route == nil {
		route = noRoute
	}
	if f := cmp.Or(route.operation, c.operation); f != nil {
		if op := f.Append(nil, ctx); len(op) > 0 {
			name = string(op)
		}
	}
	traced := reason == Sampling || reason == ServiceForced || reason == ClientForced
	s := c.tracer.start(worker, h, name, kind, traced, ctx.Time)
	if s == nil {
		return nil // its headers are garbled
	}
	s.route = route
	s.SetTag("node_id", c.nodeID)
	s.SetTag("zone", c.zone)
	return s
}

func (c *Config) count(worker int, r Reason) {
	st := c.group.For(worker)
	switch r {
	case Sampling:
		st.RandomSampling.Inc()
	case ServiceForced:
		st.ServiceForced.Inc()
	case ClientForced:
		st.ClientEnabled.Inc()
	case HealthCheck:
		st.HealthCheck.Inc()
	default:
		st.NotTraceable.Inc()
	}
}

// Stats are the tracer's statistics.
func (c *Config) Stats() *stats.Group[Stats] { return c.group }

// Egress tells that the listener is for what goes out.
func (c *Config) Egress() bool { return c.egress }

// StartUpstream begins the span of a try at a cluster, if tries have spans, or always;
// attempt is 1 for the first.
func (c *Config) StartUpstream(parent *Span, ctx *formatter.Context, always bool, clusterStatName string, attempt int, now time.Time) *Span {
	if !c.spawn && !always || parent == nil {
		return nil
	}
	name := "router " + clusterStatName + " egress"
	if f := cmp.Or(parent.route.upstream, c.upstream); f != nil {
		if op := f.Append(nil, ctx); len(op) > 0 {
			name = string(op)
		}
	}
	s := parent.Spawn(name, now)
	if attempt > 1 {
		s.SetTag("retry.count", itoa(attempt-1))
	}
	return s
}

// Inject writes a span's context into the headers of a try.
func (c *Config) Inject(s *Span, h *http.HeaderMap) {
	if !c.noPropagation {
		s.Inject(h)
	}
}

// Close ends what Compile began.
func (c *Config) Close() {
	c.group.Close()
	if c.close != nil {
		c.close()
	}
}
