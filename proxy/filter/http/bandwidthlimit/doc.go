// Package bandwidthlimit is the HTTP filter envoy.filters.http.bandwidth_limit:
// it lets the bodies of all requests, of all responses or of both together
// pass at no more than so many bytes a second, over all workers. A route can
// have a limit of its own. The connection manager makes filters by [Maker].
package bandwidthlimit
