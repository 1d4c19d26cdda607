// Package healthcheck is the HTTP filter envoy.filters.http.health_check: it
// answers health-check requests by itself, from the instance's state and that
// of clusters, or passes them on and may keep the upstream's answer for a
// while. The connection manager makes filters by [Maker].
package healthcheck
