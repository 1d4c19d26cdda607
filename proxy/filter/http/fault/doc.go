// Package fault is the HTTP filter envoy.filters.http.fault: for tests of
// resilience it delays, aborts or slows a share of the requests, by its
// configuration, by the runtime, or as request headers ask.
//
// A route's configuration takes the place of the filter's. All workers
// together inject no more faults at once than max_active_faults. The connection
// manager makes filters by [Maker].
package fault
