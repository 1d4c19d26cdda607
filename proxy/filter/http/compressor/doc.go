// Package compressor is the compressor HTTP filter
// (envoy.extensions.filters.http.compressor.v3): it compresses responses for
// clients that accept it, and requests for upstreams, where the configuration
// says so.
//
// [Maker] compiles the configuration and that of routes. With several of
// these filters in a chain the client's Accept-Encoding decides between them:
// each filter enters itself into the stream's list ([chain]) as the request
// comes by, and all find the same winner when the response does.
package compressor
