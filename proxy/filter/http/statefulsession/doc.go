// Package statefulsession is the HTTP filter envoy.filters.http.stateful_session:
// it brings the requests of a session to one host. The host's address is kept
// by the client, in a cookie, in a header, or in the envelope of a header that
// the upstream sends itself. The load balancer takes the address from
// streaminfo.Info.OverrideHost. The connection manager makes filters by [Maker].
//
// The address comes from the client, so it chooses only among the cluster's
// own hosts.
package statefulsession
