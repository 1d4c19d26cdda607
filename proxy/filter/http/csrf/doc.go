// Package csrf is the HTTP filter envoy.filters.http.csrf: it answers 403 to
// requests that change something and come from another origin, by their
// Origin header or else their Referer. A route's policy takes the place of the
// filter's. The connection manager makes filters by [Maker].
package csrf
