// Package health is active health checking: main asks each host of a cluster
// every so often, by HTTP, TCP or gRPC, whether it is well.
//
// The cluster manager makes a [Checker] for a cluster with health_checks and
// tells it which hosts come and go. The checker changes the hosts' health
// flags and says so; the manager then gives the workers new host sets.
// Everything runs on main's loop, over connections of its own.
//
// The contract that bites: new hosts count as failed until their first check
// has passed, so a cluster is warm only after a first round.
package health
