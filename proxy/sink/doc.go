// Package sink sends statistics to where stats_sinks says: statsd, DogStatsD,
// Envoy's metrics service, OpenTelemetry.
//
// What comes in: a snapshot every stats_flush_interval ([Sink.Flush]). What
// goes out: datagrams, or messages by package telemetry.
//
// Who calls it: proxy/server, on a goroutine, never from two at once.
package sink
