// Package extproc is the ext_proc HTTP filter
// (envoy.extensions.filters.http.ext_proc.v3): an external processor sees a
// stream's headers, bodies and trailers over one gRPC stream, and changes them
// or answers in the upstream's place. A processor may be asked over HTTP
// instead, about heads only.
//
// [Maker] compiles the configuration and that of routes. On a worker each
// direction of a stream is a [phase]: it sends the processor what the mode
// says, holds that back, and lets it go on as the processor's reply orders. The
// replies come in order, so a phase is always told which message is answered.
//
// The contract that bites: any reply may end the stream (an immediate
// response, a failure); after each call that sends something on, f.over tells.
package extproc
