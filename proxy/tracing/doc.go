// Package tracing makes spans of requests and exports them.
//
// What comes in: an HttpConnectionManager's tracing section ([Config]) and the
// requests of its streams. A Config decides which are traced, by x-request-id,
// x-client-trace-id, x-envoy-force-trace and the sampling percentages; its
// [Tracer] begins a span, continuing what the request's headers say, and
// writes the span's context into the headers that go upstream. What goes out:
// finished spans, to OpenTelemetry, Zipkin, Datadog or SkyWalking through package
// telemetry, with Envoy's names and tags.
//
// Who calls it: the connection manager for the downstream span, the router
// for those of its tries (spawn_upstream_span); proxy/server makes the
// [Providers].
//
// The contract that bites: a Span belongs to its worker until it is finished,
// and then to the exporter: it is not touched again. Strings given to it are
// copied, for headers do not outlive their stream.
package tracing
