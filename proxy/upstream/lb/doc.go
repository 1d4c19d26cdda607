// Package lb picks a cluster's host for a request: load balancing policies
// over the host sets of package cluster.
//
// A [Policy] is a compiled policy. Main makes a [ThreadAware] of it for each
// cluster, which turns every new set of hosts into a [Factory] that the workers
// share: rings, tables, subsets. Each worker makes a [Balancer] of its own from
// that, and asks it for hosts.
//
// The contract that bites: a Balancer belongs to one worker and does not
// lock; Choose neither allocates nor blocks.
package lb
