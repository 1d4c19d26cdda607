// Package composite is filters that depend on the request: an
// ExtensionWithMatcher around another filter's configuration, whose matcher
// can have that filter skipped, and the HTTP filter
// envoy.filters.http.composite, whose matcher names the filter to be.
//
// The matcher (package matcher/tree) is asked when the request's head is
// there and, as long as it needs more, with each further part of the
// messages; the filter that it chooses sees what comes from then on. A route
// can have another matcher. The connection manager makes filters by [Makers].
//
// The contract that bites: a chosen filter works with the composite's place in
// the chain, so its per-route configuration stands under the composite's name.
package composite
