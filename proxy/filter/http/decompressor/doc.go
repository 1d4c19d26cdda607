// Package decompressor is the decompressor HTTP filter
// (envoy.extensions.filters.http.decompressor.v3): it undoes the compression
// of requests and responses and tells upstreams that it can.
//
// [Maker] compiles the configuration. Each message is decompressed on a
// goroutine of its own (compression.Inflater), one piece at a time: what comes
// out is posted to the worker's loop and passed on there.
//
// Where a body can't be decompressed the stream is cut off. Envoy passes on
// what it has, as if that were all: a truncated message that nobody notices.
package decompressor
