// Package cluster is what is known of an upstream cluster: its settings
// ([Info]), its endpoints ([Host], grouped into [HostSet] and [PrioritySet]),
// its circuit breakers ([Resources]) and its statistics ([Stats]).
//
// The cluster manager (package upstream) makes all of it on main; load
// balancers (lb) and connection pools (pool) read it on the workers, and the
// router and tcp_proxy see it through them.
//
// The contract that bites: sets and Info never change once they were handed
// out, since all workers share them; a change is a new set. Only what is
// atomic in a Host (weight, health, active requests) and in Resources changes
// in place, and a host's counters belong to one worker each.
package cluster
