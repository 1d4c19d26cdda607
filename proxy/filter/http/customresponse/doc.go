// Package customresponse is the HTTP filter envoy.filters.http.custom_response:
// it answers in place of responses that its matcher (package matcher/tree)
// picks, with a configured status, body and headers. Routes' matchers are asked
// before the filter's. The connection manager makes filters by [Maker].
package customresponse
