// Package rbac decides whether a request or a connection is allowed: Envoy's
// role-based access control (envoy.config.rbac.v3) as the HTTP and the network
// filter rbac share it.
//
// A policy is permissions (what is done) and principals (who does it); an
// [Engine] is policies with an action, or a matcher tree that leads to
// actions. [New] compiles either on main; Check is called on workers with
// what is known of the request or connection, and allocates nothing.
//
// The contract that bites: what is in doubt is denied. A tree that leads
// nowhere, or needs what is not there, denies.
package rbac
