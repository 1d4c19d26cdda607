// Package agent is the node agent: it keeps the pods that are asked for
// caught, and the proxies supplied with their sockets.
//
// In: pods (package pods) from a configuration file and the control socket.
// Out: programs and maps in the kernel (package redirect), sockets and routes
// in the pods' namespaces (package netns), sockets for proxies (package
// handoff). `weir agent` is the caller.
//
// Everything is one loop of reconciliation ([Agent.reconcile]): compare the
// pods that are wanted with those that are managed, and mend the difference.
//
// The contract that bites: the agent's end changes nothing. Programs and maps
// stay pinned, proxies keep their sockets, pods stay caught; the next agent
// takes all of it over. Only [Cleanup] lets the pods go.
package agent
