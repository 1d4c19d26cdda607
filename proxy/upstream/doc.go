// Package upstream is the cluster manager: it turns cluster configurations
// and endpoints, from the bootstrap and xDS, into host sets on main, and
// gives each worker a [Table] of clusters with load balancers and connection
// pools of its own.
//
// The server makes one [Manager] on main and a Table for each worker. The
// router and tcp_proxy ask their worker's table for a [Cluster], the cluster
// for a host and the host's pool for a stream.
//
// What reaches a worker is a snapshot that never changes; it is posted to the
// worker's loop, in the order in which main made the changes. A cluster that
// a worker was never asked for costs it a map entry.
//
// What main knows of hosts comes from a discovery (static, DNS, EDS, a dynamic
// forward proxy's cache, original destinations) and from health: active checks
// (package health) and outlier detection (package outlier) change a host's
// flags, and main sorts the hosts anew. An aggregate cluster has no hosts: its
// balancer on each worker looks at its members.
//
// The contract that bites: a *Cluster is the state at the time of the lookup.
// Streams keep the one they have; look up anew for each request.
package upstream
