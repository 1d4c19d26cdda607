// Package matcher is the matchers that many configurations share, compiled:
// strings, headers, query parameters, cookies, metadata values, filter state.
//
// A protobuf of envoy.type.matcher.v3 (or a HeaderMatcher of
// envoy.config.route.v3) goes in, on the main thread, with its place in the
// configuration for errors; a small immutable structure comes out whose Match
// is called on the request path by any number of workers. Match allocates
// nothing (lines that count as one are joined in their header map's memory).
//
// The contract that bites: regular expressions are RE2 and must match the
// whole value, as everywhere in Envoy.
package matcher
