// Package apikeyauth is the HTTP filter envoy.filters.http.api_key_auth: it
// lets requests pass that carry the key of a client, in a header, a query
// parameter or a cookie. A route can have keys and sources of its own, and
// say which clients it is for. The connection manager makes filters by
// [Maker].
package apikeyauth
