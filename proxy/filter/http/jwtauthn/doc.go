// Package jwtauthn is the jwt_authn HTTP filter
// (envoy.extensions.filters.http.jwt_authn.v3): it lets requests through whose
// JSON Web Tokens (RFC 7519) satisfy what the first matching rule, the route or
// the filter state requires.
//
// [Maker] compiles providers, rules and requirements on main. On workers a
// [check] walks the requirement's tree; it waits only where a provider's keys
// must be fetched first, through the worker's own clusters. Each worker keeps
// its own copy of remote keys.
//
// Checking a signature takes 30 to 100 µs on the loop, less than handing it to
// a goroutine and back would cost under load; how many are checked for one
// request is bounded (maxChecks).
//
// The contract that bites: everything in a token is hostile until its
// signature is checked, and its size is that of a header.
package jwtauthn
