// Package headertometadata is the HTTP filter
// envoy.filters.http.header_to_metadata: it puts values of headers and cookies
// into dynamic metadata by rules. A route's configuration takes the place of
// the filter's. The connection manager makes filters by [Maker].
package headertometadata
