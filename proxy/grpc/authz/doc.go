// Package authz describes connections to authorization servers
// (envoy.service.auth.v3), for the ext_authz filters of HTTP and of
// connections.
package authz
