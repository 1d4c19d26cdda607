// Package rbac is the HTTP filter envoy.filters.http.rbac: it lets requests
// pass that its rules allow and answers the others with 403.
//
// The rules are compiled and checked by package proxy/rbac. Shadow rules are
// checked beside them and only counted and noted in the dynamic metadata of
// "envoy.filters.http.rbac". A route's configuration takes the place of the
// filter's rules, or switches it off. The connection manager makes filters by
// [Maker].
package rbac
