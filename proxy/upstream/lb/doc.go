// Package lb picks a cluster's host for a request: load balancing policies
// over the host sets of package cluster.
//
// A [Policy] is a compiled policy, made on main from the cluster's
// configuration; each worker makes a [Balancer] of its own from it, gives it
// every new host set, and asks it for hosts.
//
// The contract that bites: a Balancer belongs to one worker and does not
// lock; Choose neither allocates nor blocks.
package lb
