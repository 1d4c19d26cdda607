// Package noderig is a whole node on this machine, for tests and
// demonstrations: pods (package netnsrig), and `weir agent` and `weir proxy`
// as processes of their own, the proxy as an ordinary user.
//
// In: the weir binary. Out: a [Node] whose agent and proxy can be started,
// killed and asked. test/demo and test/e2e are the callers. Needs root.
//
// The contract that bites: always Close a Node. What is left of a killed
// program is removed by the next [New] of the same name.
package noderig
