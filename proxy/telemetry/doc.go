// Package telemetry is how spans, log entries and metrics leave the proxy.
//
// What comes in: finished items, on the loops ([Queue.Add]) or on a goroutine.
// What goes out: gRPC calls and HTTP requests to collectors, which clusters
// name ([GRPC], [HTTP], made by [Clients]).
//
// Who calls it: access loggers, tracers and statistics sinks; proxy/server
// implements Clients.
//
// The contract that bites: calls block, so they are made on a Queue's
// goroutine, never on a loop. What a collector doesn't take is dropped and
// counted: telemetry never holds up traffic, and never fills the memory.
package telemetry
