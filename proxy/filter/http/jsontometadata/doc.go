// Package jsontometadata is the HTTP filter envoy.filters.http.json_to_metadata:
// it puts values of JSON bodies into dynamic metadata by rules, and has the
// route of a request chosen anew by them. It holds a body until it is whole. A
// route's configuration takes the place of the filter's. The connection manager
// makes filters by [Maker].
package jsontometadata
