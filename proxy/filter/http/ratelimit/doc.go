// Package ratelimit is the ratelimit HTTP filter
// (envoy.extensions.filters.http.ratelimit.v3): it describes each request to a
// rate limit service over gRPC and answers 429 when the service says that a
// limit is exceeded.
//
// [Maker] compiles the configuration and that of routes; the descriptors are
// made by the rate_limits of routes and virtual hosts, which package route
// compiles. Filters run on workers; while the service is asked the stream
// stands still, for at most the timeout (20 ms by default).
package ratelimit
