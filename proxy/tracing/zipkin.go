package tracing

import (
	"context"
	"encoding/json"
	"time"

	"github.com/weirproxy/weir/proxy/network"
	"github.com/weirproxy/weir/proxy/stats"
	"github.com/weirproxy/weir/proxy/telemetry"
)

// zipkinOptions are what differs between Zipkin tracers.
type zipkinOptions struct {
	long   bool // trace ids of 128 bits
	shared bool // a server's span has the id of the client's
}

// begin continues a parent's trace, or begins one. What the parent says of
// sampling goes before the connection manager's decision.
func (o zipkinOptions) begin(_ *Tracer, parent *Context, traced bool) Context {
	c := Context{Sampled: traced}
	if parent != nil {
		c.single, c.State = parent.single, parent.State
		if parent.decided {
			c.Sampled = parent.Sampled
		}
	}
	if parent == nil || !parent.Remote { // no more than a decision
		c.ID = newID()
		c.TraceLow = c.ID
		if o.long {
			c.TraceHigh = newID()
		}
		return c
	}
	c.TraceHigh, c.TraceLow = parent.TraceHigh, parent.TraceLow
	if o.shared {
		c.ID, c.Parent = parent.ID, parent.Parent
	} else {
		c.ID, c.Parent = newID(), parent.ID
	}
	return c
}

// zipkinExporter sends spans to a Zipkin collector, as JSON or protobufs of
// version 2 (zipkin.io/zipkin-api).
type zipkinExporter struct {
	queue   *telemetry.Queue[*Span]
	http    telemetry.HTTP
	request telemetry.Request
	encode  func([]zipkinSpan) []byte
	shared  bool
	service string
	local   network.Address
	stats   zipkinStats
}

// zipkinStats are Envoy's under tracing.zipkin.
type zipkinStats struct{ spansSent, timerFlushed, noCluster, sent, dropped, failed *stats.SharedCounter }

func newZipkinStats(s *stats.Store) zipkinStats {
	c := func(name string) *stats.SharedCounter { return s.Counter("tracing.zipkin." + name) }
	return zipkinStats{c("spans_sent"), c("timer_flushed"), c("reports_skipped_no_cluster"), c("reports_sent"), c("reports_dropped"), c("reports_failed")}
}

func (e *zipkinExporter) add(s *Span) {
	s.Log(zipkinEnd(s.Kind), s.End)
	e.queue.Add(s.worker, s, 1)
}

func (e *zipkinExporter) close() { e.queue.Close() }

// zipkinEnd is the annotation that ends a span.
func zipkinEnd(k Kind) string {
	if k == Client {
		return "cr"
	}
	return "ss"
}

const zipkinTimeout = 5 * time.Second

func (e *zipkinExporter) send(ctx context.Context, spans []*Span) {
	list := make([]zipkinSpan, len(spans))
	for i, s := range spans {
		list[i] = e.span(s)
	}
	ctx, cancel := context.WithTimeout(ctx, zipkinTimeout)
	defer cancel()
	r := e.request
	r.Body = e.encode(list)
	e.stats.spansSent.Add(uint64(len(spans)))
	switch status, err := e.http.Do(ctx, r); {
	case err != nil:
		e.stats.failed.Inc()
	case status != 202:
		e.stats.dropped.Inc()
	default:
		e.stats.sent.Inc()
	}
}

func zipkinJSON(spans []zipkinSpan) []byte {
	b, _ := json.Marshal(spans) // strings and numbers only
	return b
}

type zipkinSpan struct {
	TraceID       string             `json:"traceId"`
	ID            string             `json:"id"`
	ParentID      string             `json:"parentId,omitempty"`
	Name          string             `json:"name"`
	Kind          string             `json:"kind"`
	Timestamp     int64              `json:"timestamp"` // microseconds
	Duration      int64              `json:"duration"`  // microseconds
	LocalEndpoint zipkinEndpoint     `json:"localEndpoint"`
	Annotations   []zipkinAnnotation `json:"annotations,omitempty"`
	Tags          map[string]string  `json:"tags,omitempty"`
	Shared        bool               `json:"shared,omitempty"`
}

type zipkinEndpoint struct {
	ServiceName string `json:"serviceName"`
	IPv4        string `json:"ipv4,omitempty"`
	IPv6        string `json:"ipv6,omitempty"`
	Port        uint16 `json:"port"`
}

type zipkinAnnotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

func (e *zipkinExporter) span(s *Span) zipkinSpan {
	out := zipkinSpan{
		TraceID: string(s.AppendTraceID(nil)), ID: string(s.AppendID(nil)), Name: s.Name, Kind: "SERVER",
		Timestamp: s.Start.UnixMicro(), Duration: max(s.End.Sub(s.Start).Microseconds(), 1),
		LocalEndpoint: zipkinEndpoint{ServiceName: e.service, Port: e.local.Port()},
		Shared:        e.shared && s.Kind == Server,
	}
	if s.Kind == Client {
		out.Kind = "CLIENT"
	}
	if ip := e.local.Addr(); ip.Is4() {
		out.LocalEndpoint.IPv4 = ip.String()
	} else if ip.IsValid() {
		out.LocalEndpoint.IPv6 = ip.String()
	}
	if s.Parent != 0 {
		out.ParentID = string(appendHex(nil, s.Parent))
	}
	for _, a := range s.Events {
		out.Annotations = append(out.Annotations, zipkinAnnotation{a.At.UnixMicro(), a.Name})
	}
	if len(s.Tags) > 0 {
		out.Tags = make(map[string]string, len(s.Tags))
		for _, t := range s.Tags {
			if t.Value != "" { // as Envoy: zone is left out
				out.Tags[t.Key] = t.Value
			}
		}
	}
	return out
}
