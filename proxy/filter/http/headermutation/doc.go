// Package headermutation is the HTTP filter envoy.filters.http.header_mutation:
// it changes headers, trailers and query parameters one after another, as
// configured for the filter and then for the route's levels. The connection
// manager makes filters by [Maker].
package headermutation
