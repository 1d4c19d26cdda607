// Package cors is the HTTP filter envoy.filters.http.cors: it answers
// preflight requests (the Fetch standard, "CORS protocol") from the allowed
// origins of the route, and marks the responses to allowed cross-origin
// requests.
//
// The filter itself has no settings: all that matters is in the CorsPolicy of
// the route, virtual host and route configuration. Each field comes from the
// most specific level that has it. The connection manager makes filters by
// [Maker].
package cors
