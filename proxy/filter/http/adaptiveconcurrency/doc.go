// Package adaptiveconcurrency is the HTTP filter
// envoy.filters.http.adaptive_concurrency: it lets only so many requests be
// under way at once as their latency bears. The gradient controller compares
// the latencies of each interval with the least one, which it measures from
// time to time with few requests at once, or is told.
//
// Filters on all workers share a controller: they touch its atomic numbers
// only, and main, where its timers run, moves the limit. The connection manager
// makes filters by [Maker].
package adaptiveconcurrency
