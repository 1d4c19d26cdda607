// Package localratelimit is the HTTP filter envoy.filters.http.local_ratelimit:
// it answers 429 to requests above a rate that this proxy keeps by itself.
//
// A token bucket is shared by all workers, or each connection has one. The
// route's rate limits make descriptors of a request, and a descriptor can have
// a bucket of its own. A route's configuration takes the place of the
// filter's. The connection manager makes filters by [Maker].
package localratelimit
