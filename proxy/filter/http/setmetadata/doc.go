// Package setmetadata is the HTTP filter envoy.filters.http.set_metadata: it
// puts configured values into the dynamic metadata of each request, for the
// filters behind it and for logs. The connection manager makes filters by
// [Maker].
package setmetadata
